"""Render one pair of files at once: no manifest, no cache and no server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nst_core.audio.loudness import to_mono
from nst_core.audio.origin import read_origin
from nst_core.audio.reading import LongAudio, read_long_audio
from nst_core.config import (
    DEFAULT_STRENGTH,
    AudioLimits,
    MelConfig,
    OutputConfig,
    Strength,
    TransferConfig,
)
from nst_core.config.rates import kept_rate
from nst_core.errors import AudioError
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.runtime.threads import limit_blas
from nst_core.streaming.arrays import derive
from nst_core.streaming.resampling import at_rate
from nst_core.transfer.analysis import Recording, check_recording, with_mel
from nst_core.transfer.carrying import carry_and_refine
from nst_core.transfer.rendering import render
from nst_core.transfer.stylisation import Stylisation
from tasks.jobs.pair import comment_on
from tasks.master import write_and_judge
from tasks.model import fetch_model
from tasks.running.workspace import Workspace
from tasks.storage.files import fetch_input, publish
from tasks.storage.store import Json


@dataclass(frozen=True, kw_only=True)
class SinglePair:
    """Two sound files, and how to render them.

    Attributes
    ----------
    ambience, music, output
        Local paths or ``s3://`` URIs.
    start_s, duration_s
        Section of the music, in seconds.
    model
        Weights file of the classifier; None is the package's own.
    picture
        Place of a PNG of the mels of all three; None makes none.
    """

    ambience: str
    music: str
    output: str
    config: TransferConfig = field(default_factory=TransferConfig)
    strength: Strength = DEFAULT_STRENGTH
    sound: OutputConfig = field(default_factory=OutputConfig)
    start_s: float = 0.0
    duration_s: float | None = None
    model: str | None = None
    picture: str | None = None


class RenderedPair(NamedTuple):
    """The columns of the report that describe the file, and warnings about the inputs."""

    figures: dict[str, Json]
    warnings: list[str]


def render_single(pair: SinglePair, workspace: Workspace) -> RenderedPair:
    """Render a pair and publish its file.

    Raises
    ------
    AudioError, SignalError, ModelError, StorageError
        As a row of a manifest.
    """
    limit_blas()
    mel = MelConfig()
    with workspace.scratch_folder() as scratch:
        read = {name: _read(pair, name, scratch) for name in ("music", "ambience")}
        with fetched_sound(pair.music, scratch) as path:
            origin = read_origin(path)
        music, ambience = (
            check_recording(audio.y, mel, name=f'{name} "{getattr(pair, name)}"', sr=audio.sr)
            for name, audio in read.items()
        )
        options: Any = {"n_threads": workspace.n_threads, "scratch": scratch}
        stylisation = _stylise(pair, music, ambience, mel, workspace, options)
        y = render(
            music.y, ambience.y, stylisation, mel, pair.config, strength=pair.strength,
            music_sr=music.sr, ambience_sr=ambience.sr, **options,
        )  # fmt: skip
        path = scratch / f"result.{pair.sound.format}"
        texture = at_rate(derive(to_mono, ambience.y), ambience.sr, music.sr, scratch=scratch)[:]
        figures = write_and_judge(
            path, y, music.sr, pair.sound, music=music.y, ambience=texture,
            strength=pair.strength, origin=origin, **options,
            comment=comment_on([pair.ambience], pair.music, pair.strength),
        )  # fmt: skip
        publish(path, pair.output)
        if pair.picture:
            from nst_core.metrics.picture import draw_mels  # noqa: PLC0415  # matplotlib takes a second

            drawn = scratch / "picture.png"
            sounds = {"ambience": texture, "music": music.y[:], "result": y[:]}
            draw_mels(drawn, {name: to_mono(each) for name, each in sounds.items()}, music.sr)
            publish(drawn, pair.picture)
    warnings = [f"{name}: {each}" for name, audio in read.items() for each in audio.warnings]
    warnings += [f"music: {each}" for each in origin.warnings]
    return RenderedPair({"output": pair.output, "strength": pair.strength, **figures}, warnings)


def _stylise(
    pair: SinglePair,
    music: Recording,
    ambience: Recording,
    mel: MelConfig,
    workspace: Workspace,
    options: Any,
) -> Stylisation:
    options = {**options, "strength": pair.strength}
    if not pair.config.uses_network:
        return carry_and_refine(music, ambience, pair.config, **options)
    model = fetch_model(pair.model, workspace)
    setup_tensorflow(workspace.n_threads)
    from nst_core.classifier.saving import load_classifier  # noqa: PLC0415  # TensorFlow takes seconds
    from nst_core.transfer.neural import stylise  # noqa: PLC0415

    analysed = partial(with_mel, mel=mel, scratch=options["scratch"])
    classifier = load_classifier(model.path)
    return stylise(analysed(music), analysed(ambience), classifier, pair.config, **options)


def _read(pair: SinglePair, name: str, scratch: Path) -> LongAudio:
    place = pair.music if name == "music" else pair.ambience
    is_music = name == "music"
    with fetched_sound(place, scratch) as path:
        return read_long_audio(
            path,
            sr=kept_rate,
            start_s=pair.start_s if is_music else 0.0,
            duration_s=pair.duration_s if is_music else None,
            at_most_s=None if is_music else AudioLimits.max_ambience_s,
            scratch=scratch,
        )


@contextmanager
def fetched_sound(place: str, scratch: Path) -> Iterator[Path]:
    """Yield the local path of a sound file; an `AudioError` names the file as the user does."""
    with fetch_input(place, scratch) as path:
        try:
            yield path
        except AudioError as error:
            # A remote file is read from a temporary copy.
            raise AudioError(error.code, place, error.reason) from error
