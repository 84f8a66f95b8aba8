"""The whole transfer in one call, from two waveforms to one."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_core.arrays import FloatArray, Waveform
from nst_core.audio.loudness import to_mono
from nst_core.config import (
    DEFAULT_STRENGTH,
    AudioLimits,
    MelConfig,
    Strength,
    StrengthCurve,
    TransferConfig,
)
from nst_core.config.rates import kept_rate
from nst_core.errors import SignalError
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.runtime.threads import thread_budget
from nst_core.spectral.mel import check_signal
from nst_core.streaming.arrays import of_length
from nst_core.streaming.resampling import resample
from nst_core.transfer.analysis import Analysis, analyse
from nst_core.transfer.blending import blend
from nst_core.transfer.carrying import carry_and_refine
from nst_core.transfer.rendering import render
from nst_core.transfer.shares import shares
from nst_core.transfer.stylisation import Stylisation

if TYPE_CHECKING:
    from nst_core.classifier.saving import Classifier


def transfer_arrays(
    y_music: Waveform,
    y_ambience: Waveform | Sequence[Waveform],
    *,
    sr: int,
    ambience_weights: Sequence[float] | None = None,
    config: TransferConfig | None = None,
    strength: Strength = DEFAULT_STRENGTH,
    classifier: "Classifier | None" = None,
    n_threads: int = 1,
) -> FloatArray:
    """Let the ambience play the music: waveforms in, one waveform out.

    Parameters
    ----------
    y_music, y_ambience : shape (n_samples,) or (n_samples, n_channels), float32
        Waveforms with full scale 1. Music with two channels stays stereo; more channels
        are mixed down. The image of a stereo ambience is used where the music is stereo. A short
        ambience is looped; of a long one, the first five minutes are used. Several ambiences, in
        a list or tuple, are blended: each is scaled to the same level and by the root of its
        share (constant power), and looped to the longest. The blend defines the style
        statistics, so a band's mean power is the weighted mean of theirs.
    sr
        Sample rate of all inputs and of the result in Hz. The work is done at 44.1 or 48 kHz.
    ambience_weights
        One number above 0 per ambience; only the proportions count. None: equal weights.
    config
        Default: the preset ``real``.
    strength
        0 returns the music, 1 is the ambience playing it. A text such as ``0:0.2;30:0.8`` is a
        curve: 0.2 at the start, 0.8 from 30 s on, and a straight line between.
    classifier
        Default: the package's own.
    n_threads
        Threads for transforms and inversion; does not change any sample.

    Returns
    -------
    shape (n_samples,) or (n_samples, 2), float32
        As long and as loud (RMS) as the music; peaks may exceed full scale. At strength 0,
        the music itself. All runs on one machine give the same bits.

    Raises
    ------
    SignalError
        An input is empty or silent (or constant), or contains NaN, infinity or samples
        beyond a thousand times full scale.
    ConfigError
        If a layer of the configuration is not in the classifier, the weights do not fit
        the ambiences, or the strength is outside its range.
    """
    return transferred(
        y_music, y_ambience, sr=sr, ambience_weights=ambience_weights, config=config,
        strength=strength, classifier=classifier, n_threads=n_threads,
    ).y  # fmt: skip


class Transferred(NamedTuple):
    """Result and music, shape (n_samples,) or (n_samples, 2), and the ambience in mono."""

    y: FloatArray
    music: FloatArray
    ambience: FloatArray


def transferred(
    y_music: Waveform,
    y_ambience: Waveform | Sequence[Waveform],
    *,
    sr: int,
    ambience_weights: Sequence[float] | None = None,
    config: TransferConfig | None = None,
    strength: Strength = DEFAULT_STRENGTH,
    classifier: "Classifier | None" = None,
    n_threads: int = 1,
) -> Transferred:
    """Return what `transfer_arrays` returns, with the music and the ambience as they were used."""
    is_dry = StrengthCurve.of(strength).constant == 0
    config = config or TransferConfig()
    music = _checked(y_music, "music")
    ambiences = _named(y_ambience, round(AudioLimits.max_ambience_s * sr))
    weights = shares(ambience_weights, len(ambiences))
    if music.shape[1:] != (2,):
        music = to_mono(music)
    if is_dry and len(ambiences) == 1:
        return Transferred(music, music, *map(to_mono, ambiences.values()))
    kept = kept_rate(sr)
    mel = MelConfig() if classifier is None else classifier.mel
    with thread_budget(n_threads):
        textures = [
            analyse(resample(y, sr, kept), mel, name=name, sr=kept) for name, y in ambiences.items()
        ]
        texture = blend(textures, weights, mel)
        clip = resample(to_mono(texture.y[:]), texture.sr, sr)
        if is_dry:
            return Transferred(music, music, clip)
        analysed = analyse(resample(music, sr, kept), mel, name="music", sr=kept)
        options: Any = {"strength": strength, "n_threads": n_threads}
        stylisation = _stylised(analysed, texture, config, classifier, options)
        rendered = render(
            *(analysed.y, texture.y),
            stylisation,
            mel,
            config,
            music_sr=kept,
            ambience_sr=texture.sr,
            **options,
        )
        y: FloatArray = of_length(resample(rendered[:], kept, sr), len(music))[:]
    return Transferred(y, music, clip)


def _stylised(
    music: Analysis,
    texture: Analysis,
    config: TransferConfig,
    classifier: "Classifier | None",
    options: Any,
) -> Stylisation:
    if not config.uses_network:
        return carry_and_refine(music.recording, texture.recording, config, **options)
    if "tensorflow" not in sys.modules:  # whoever has imported it has also set it up
        setup_tensorflow(options["n_threads"])
    # TensorFlow takes seconds.
    from nst_core.classifier.saving import load_classifier  # noqa: PLC0415
    from nst_core.transfer.neural import stylise  # noqa: PLC0415

    return stylise(music, texture, classifier or load_classifier(), config, **options)


def _named(y_ambience: Waveform | Sequence[Waveform], n_heard: int) -> dict[str, Waveform]:
    """Return the used part of each ambience, by its name in messages."""
    given = y_ambience if isinstance(y_ambience, list | tuple) else [y_ambience]
    if not given:
        raise SignalError("ambience is an empty list; give at least one ambience")
    names = [f"ambience {i}" for i in range(1, len(given) + 1)] if len(given) > 1 else ["ambience"]
    heard = (np.asarray(y)[:n_heard] for y in given)
    return {name: _checked(y, name) for name, y in zip(names, heard, strict=True)}


def _checked(y: Waveform, name: str) -> Waveform:
    array = np.asarray(y, np.float32)
    if array.ndim not in (1, 2) or not array.size:
        raise SignalError(
            f"{name} has shape {array.shape}; it must be (n_samples,) or (n_samples, n_channels)"
        )
    if array.ndim == 2 and array.shape[1] > AudioLimits.max_channels >= array.shape[0]:
        raise SignalError(
            f"{name} has shape {array.shape}, channels first; pass its transpose, "
            "(n_samples, n_channels)"
        )
    check_signal(array.ravel(), name=name)
    peak = float(np.abs(array).max())
    if peak > AudioLimits.max_abs:
        raise SignalError(
            f"{name} has a peak of {peak:g}, more than {AudioLimits.max_abs:g} times full scale; "
            "scale it to a full scale of 1",
            code="non_finite",
        )
    return array
