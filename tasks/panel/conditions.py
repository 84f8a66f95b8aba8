"""Sounds that listeners compare for one pair."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import set_rms
from nst_core.metrics import controls
from nst_core.transfer.looping import loop_to_length
from tasks.panel.pairs import Pair
from tasks.panel.questions import AMBIENCE, LOW_PASS, MUSIC, ours

if TYPE_CHECKING:
    from nst_core.classifier.saving import Classifier

_CONTROLS: dict[str, Callable[[FloatArray, FloatArray, int], FloatArray]] = {
    LOW_PASS: controls.low_pass,
    "mix": controls.mix,
    "eq_mix": controls.eq_mix,
    "vocoder": controls.vocoder,
}


def make_conditions(
    pair: Pair, strengths: tuple[float, ...], classifier: "Classifier", *, n_threads: int
) -> dict[str, FloatArray]:
    """Return each condition's sound, shape (n_samples,), float32, as long as the music.

    The two references are among them. The levels differ.

    Raises
    ------
    SignalError
        The music or the ambience is silent where it is used.
    """
    from nst_core.transfer.end_to_end import transfer_arrays  # noqa: PLC0415  # TensorFlow takes seconds

    sr = classifier.mel.sr
    music = set_rms(pair.y_music)
    ambience = set_rms(loop_to_length(pair.y_ambience, len(music), sr))
    transfers = {
        ours(strength): transfer_arrays(
            music, pair.y_ambience, sr=sr, config=pair.config, strength=strength,
            classifier=classifier, n_threads=n_threads,
        )
        for strength in strengths
    }  # fmt: skip
    cheats = {name: make(music, ambience, sr) for name, make in _CONTROLS.items()}
    return {MUSIC: music, AMBIENCE: ambience, **cheats, **transfers}
