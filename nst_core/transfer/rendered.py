"""A rendered sound that plays and draws itself in a notebook, and the call that makes it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray, Waveform
from nst_core.audio.mastering import Levels, write_master
from nst_core.audio.reading import read_audio, read_long_audio
from nst_core.config import (
    DEFAULT_STRENGTH,
    AudioLimits,
    OutputConfig,
    Strength,
    TransferConfig,
    format_of,
)
from nst_core.config.rates import kept_rate
from nst_core.errors import ConfigError
from nst_core.metrics.scores import Metrics, evaluate
from nst_core.transfer.end_to_end import transferred
from nst_core.transfer.notebook import as_html

if TYPE_CHECKING:
    from nst_core.classifier.saving import Classifier


@dataclass(frozen=True, eq=False, repr=False)
class Rendered:
    """A result of `transfer_style`; NumPy takes it as the array `y`.

    Attributes
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
        As long and as loud (RMS) as the music; peaks may exceed full scale.
    music : shape (n_samples,) or (n_samples, 2), float32
        As it was used: at the rate of the result.
    ambience : shape (any,), float32
        The same, mixed to mono; the blend if there were several.
    sr
        Rate of all three in Hz.
    warnings
        Warnings about the files, such as ``tune.wav: clipped``.
    """

    y: FloatArray
    music: FloatArray
    ambience: FloatArray
    sr: int
    warnings: tuple[str, ...] = ()

    @cached_property
    def metrics(self) -> Metrics:
        """What a listener can expect, in figures; they are computed on first use."""
        return evaluate(self.y, self.music, self.ambience, self.sr)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.y) / self.sr

    def save(self, path: str | Path) -> Levels:
        """Write a sound file as loud as the music, with limited peaks; return its levels.

        Parameters
        ----------
        path
            Ends in .wav, .flac, .mp3, .ogg or .opus. The file appears when it is complete, and
            replaces an earlier one.

        Raises
        ------
        ConfigError
            The suffix is another one, or there is no such folder.
        SignalError
            As `nst_core.audio.mastering.write_master`.
        """
        path = Path(path)
        output = OutputConfig(format=format_of(path.name))
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: there is no folder {path.parent}; make it first")
        with tempfile.TemporaryDirectory(prefix=".amnst-", dir=path.parent) as folder:
            written = Path(folder) / path.name
            levels = write_master(written, self.y, self.sr, output, music=self.music)
            written.replace(path)
        return levels

    def __len__(self) -> int:
        return len(self.y)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.array(self.y, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Rendered({self.duration_s:.1f} s, {self.sr} Hz)"

    def _repr_html_(self) -> str:
        return self._html

    @cached_property
    def _html(self) -> str:
        sounds = {"ambience": self.ambience, "music": self.music, "result": self.y}
        metrics = self.metrics if self.duration_s >= LEAST_S else None
        return as_html(sounds, self.sr, metrics, self.warnings)


LEAST_S = 1.0
"""Shortest result that can be measured, in seconds."""


Sound = Waveform | str | Path
"""An array, or the path of a sound file."""


def transfer_style(
    music: Sound,
    ambience: Sound | Sequence[Sound],
    *,
    sr: int | None = None,
    ambience_weights: Sequence[float] | None = None,
    config: TransferConfig | None = None,
    strength: Strength = DEFAULT_STRENGTH,
    classifier: "Classifier | None" = None,
    n_threads: int = 1,
) -> Rendered:
    """Let the ambience play the music: sound files or arrays in, one sound out.

    Parameters
    ----------
    music, ambience
        Either paths of sound files, all of them, or arrays as for `transfer_arrays`. Several
        ambiences, in a list or tuple, are blended.
    sr
        Sample rate of arrays in Hz. Files have their own: the result has that of the music's, at
        most 48 kHz.
    ambience_weights, config, strength, classifier, n_threads
        As for `transfer_arrays`.

    Returns
    -------
    The sound, with what it was made from; a notebook plays and draws it.

    Raises
    ------
    ConfigError
        `sr` is missing for arrays, or given for files; paths and arrays are mixed; or as
        `transfer_arrays`.
    AudioError
        A file cannot be used: `nst_core.audio.reading` lists the codes.
    SignalError
        As `transfer_arrays`.
    """
    given = _read(music, [*ambience] if isinstance(ambience, list | tuple) else [ambience], sr)
    done = transferred(
        given.music, given.ambiences, sr=given.sr, ambience_weights=ambience_weights,
        config=config, strength=strength, classifier=classifier, n_threads=n_threads,
    )  # fmt: skip
    return Rendered(*done, sr=given.sr, warnings=given.warnings)


class _Given(NamedTuple):
    music: Waveform
    ambiences: list[Waveform]
    sr: int
    warnings: tuple[str, ...] = ()


def _read(music: Any, ambiences: list[Any], sr: int | None) -> _Given:
    """Return the sounds as arrays; raise ConfigError if `sr` does not fit or some are not paths."""
    sounds = [music, *ambiences]
    n_files = sum(isinstance(each, str | Path) for each in sounds)
    if n_files not in (0, len(sounds)):
        raise ConfigError(
            f"{n_files} of the {len(sounds)} sounds are paths, the others are arrays; pass paths "
            "only, or arrays only and their sr"
        )
    if n_files and sr is not None:
        raise ConfigError(f"sr = {sr} is for arrays, but a sound file has its own rate; omit sr")
    if n_files:
        return _read_files(music, ambiences)
    if sr is None:
        raise ConfigError("sr is missing: pass the sample rate of the arrays in Hz, such as 44100")
    return _Given(music, ambiences, sr)


def _read_files(music: str | Path, ambiences: list[str | Path]) -> _Given:
    read = read_long_audio(music, sr=kept_rate)
    most_s = AudioLimits.max_ambience_s
    clips = [read_audio(each, sr=read.sr, at_most_s=most_s) for each in ambiences]
    warnings = [
        f"{path}: {each}"
        for path, sound in zip([music, *ambiences], [read, *clips], strict=True)
        for each in sound.warnings
    ]
    return _Given(read.y[:], [each.y for each in clips], read.sr, tuple(warnings))
