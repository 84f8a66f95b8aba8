"""Reading of sound files: each file is read correctly and completely, or refused with a reason.

Import readers, writers, levels and resampling from here; they are implemented in `decoding`,
`audio.writing`, `audio.loudness` and `streaming.resampling`.

Waveforms are float32, full scale 1, ``(n_samples,)`` or ``(n_samples, n_channels)``.

Codes of `AudioError` in this module: ``not_found``, ``not_a_file``, ``permission``, ``empty_file``,
``unreadable``, ``too_big``, ``unsupported_format``, ``not_audio``, ``bad_rate``, ``channels``,
``truncated``, ``bad_length``, ``corrupt``, ``no_samples``, ``too_short``, ``too_long``,
``bad_range``, ``non_finite``, ``silent``, ``changed``, ``decoder_crashed``, ``decoder_stalled``,
``decoder_memory``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from nst_core.arrays import Waveform
from nst_core.audio.loudness import (
    RunningLevels,
    loudness_lufs,
    rms,
    set_loudness,
    set_rms,
    to_mono,
)
from nst_core.audio.writing import write_audio
from nst_core.config import AudioLimits, MelConfig
from nst_core.decoding.file_types import open_regular
from nst_core.decoding.isolation import Sound, decoded
from nst_core.errors import AudioError
from nst_core.streaming.arrays import Sliceable, Spool
from nst_core.streaming.resampling import resample, resampled

__all__ = [
    "Audio",
    "LongAudio",
    "Waveform",
    "loudness_lufs",
    "read_audio",
    "read_long_audio",
    "resample",
    "resampled",
    "rms",
    "set_loudness",
    "set_rms",
    "to_mono",
    "write_audio",
]


@dataclass(frozen=True)
class LongAudio:
    """Decoded sound file of any length."""

    y: Sliceable
    """Shape (n_samples,) or (n_samples, n_channels), float32, full scale 1."""
    sr: int
    warnings: tuple[str, ...] = ()
    """Warnings about the sound: ``dc_offset=0.05``, ``clipped``, ``peak=1.20``,
    ``very_quiet``, ``downmix_6ch``, ``mono_cancels``, ``low_rate=11025``, and
    ``cut_at=300s``, in seconds after the start of the section."""


@dataclass(frozen=True)
class Audio(LongAudio):
    """Decoded sound file in memory."""

    y: Waveform


def read_audio(
    path: str | Path,
    *,
    sr: int | None = None,
    mono: bool = False,
    start_s: float = 0.0,
    duration_s: float | None = None,
    at_most_s: float | None = None,
    limits: AudioLimits | None = None,
) -> Audio:
    """Decode a sound file, or refuse it with a stated reason.

    libsndfile reads WAV, AIFF, AU, FLAC, W64 and CAF; FFmpeg reads MP3, OGG, Opus, AAC and
    ALAC (M4A), WMA, Matroska, WebM and more. Both run in a separate process. No header decides how
    much memory is allocated: samples are read in blocks, up to the end of the section.

    Parameters
    ----------
    path
        A local file. The format is detected from its contents, not its name.
    sr
        Rate of the result in Hz; None keeps the file's own rate.
    mono
        Average the channels. Otherwise a file with several has shape (n_samples, n_channels).
    start_s, duration_s
        Section to read, in seconds; it must be inside the file.
    at_most_s
        Without ``duration_s``: read at most this many seconds from ``start_s``, and warn if the
        sound is longer. The file may then exceed the duration limit.
    limits
        Limits; None uses the defaults of `AudioLimits`. The duration limit applies to the end of
        the section, the byte limit to the decoded samples, and to the file if all of it is read.

    Raises
    ------
    AudioError
        With one of the stable codes in the docstring of the module.
    """
    found = read_long_audio(
        path,
        sr=sr,
        mono=mono,
        start_s=start_s,
        duration_s=duration_s,
        at_most_s=at_most_s,
        limits=limits,
    )
    return Audio(found.y[:], found.sr, found.warnings)


def read_long_audio(
    path: str | Path,
    *,
    sr: int | Callable[[int], int] | None = None,
    mono: bool = False,
    start_s: float = 0.0,
    duration_s: float | None = None,
    at_most_s: float | None = None,
    limits: AudioLimits | None = None,
    scratch: Path | None = None,
    sha256: str | None = None,
) -> LongAudio:
    """Read a sound file like `read_audio`, but in little memory.

    Parameters and errors are those of `read_audio`, and the following.

    Parameters
    ----------
    sr
        Also a function from the file's rate to the wanted one.
    scratch
        Folder for the samples of a long file; None keeps them in memory.
    sha256
        Expected hash of the file. If the file has other content, even if it changes meanwhile,
        `AudioError` is raised with the code ``changed``.
    """
    limits = limits or AudioLimits()
    y = Spool(scratch)
    is_whole = duration_s is None and at_most_s is None
    with (
        open_regular(path, limits.max_bytes if is_whole else None) as fh,
        decoded(fh, path, limits, sha256=sha256) as sound,
    ):
        section = _section(sound, path, start_s, duration_s, at_most_s, limits)
        sr_file = sound.sr
        wanted = sr(sr_file) if callable(sr) else sr or sr_file
        levels = RunningLevels(sound.n_channels)
        looks_on = section.may_end_early
        measured = (
            _measured(block, levels, path, limits, mono=mono)
            for block in sound.blocks(section.start, section.stop, looks_on=looks_on)
        )
        for stretch in resampled(measured, sr_file, wanted):
            y.add(stretch)
        _check_complete(sound, path, section, limits)
        is_cut = section.may_end_early and sound.goes_on
    _check_audible(levels, sr_file, path, limits, mono=mono)
    cut = (f"cut_at={levels.n / sr_file:g}s",) if is_cut else ()
    least = max(wanted, MelConfig.sr) if callable(sr) else wanted
    warnings = _warnings(levels, sr_file, least) + cut
    return LongAudio(y.whole(), wanted, warnings)


class _Section(NamedTuple):
    """Frames to keep; `whole` if `stop` is the duration limit and not a request.

    With `may_end_early`, `stop` is an upper limit.
    """

    start: int
    stop: int
    whole: bool
    may_end_early: bool = False


def _section(
    sound: Sound,
    path: str | Path,
    start_s: float,
    duration_s: float | None,
    at_most_s: float | None,
    limits: AudioLimits,
) -> _Section:
    if not (math.isfinite(start_s) and start_s >= 0):
        raise AudioError("bad_range", path, f"start_s = {start_s:g} is not 0 or more")
    if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
        raise AudioError("bad_range", path, f"duration_s = {duration_s:g} is not above 0")
    sr = sound.sr
    most = int(limits.max_duration_s * sr)
    cap = most + 1
    if duration_s is None and at_most_s is not None:
        stop = min(round((start_s + at_most_s) * sr), most)
        return _Section(round(start_s * sr), stop, whole=False, may_end_early=True)
    if duration_s is None:
        declared_s = (sound.n_declared or 0) / sr
        if declared_s > limits.max_duration_s:
            _refuse_length(path, f"{declared_s:.0f} s", limits)
        return _Section(round(start_s * sr), cap, whole=True)
    section = _Section(round(start_s * sr), round((start_s + duration_s) * sr), whole=False)
    if section.stop > cap:
        _refuse_length(path, f"a section that ends at {start_s + duration_s:g} s", limits)
    return section


def _refuse_length(path: str | Path, found: str, limits: AudioLimits) -> NoReturn:
    most = f"the limit of {limits.max_duration_s:.0f} s"
    way_out = "cut it, or give start_s and duration_s within the limit"
    raise AudioError("too_long", path, f"{found} is over {most}; {way_out}")


def _measured(
    block: Waveform, levels: RunningLevels, path: str | Path, limits: AudioLimits, *, mono: bool
) -> Waveform:
    peak = float(np.max(np.abs(block)))
    if not peak <= limits.max_abs:  # also true for NaN
        reason = f"has NaN, infinite or absurd samples (peak {peak:g}, full scale is 1)"
        raise AudioError("non_finite", path, reason)
    levels.add(block, peak)
    kept = to_mono(block) if mono or block.shape[1] == 1 else block
    # A few hundred KiB of FLAC can be hours of eight channels.
    if levels.n * (kept.size // len(kept)) * kept.itemsize > limits.max_bytes:
        reason = f"its samples need more than {limits.max_bytes >> 20} MiB"
        raise AudioError("too_big", path, f"{reason}; read a shorter section of it")
    return kept


def _check_complete(sound: Sound, path: str | Path, section: _Section, limits: AudioLimits) -> None:
    n_decoded, n_declared = sound.n_decoded, sound.n_declared
    if n_declared is not None and n_decoded < min(n_declared, section.stop):
        found = f"its header declares {n_declared} frames, only {n_decoded} could be decoded"
        raise AudioError("truncated", path, f"{found}; fetch it again")
    if n_decoded == 0:
        raise AudioError("no_samples", path, "has a valid header but no samples")
    if section.whole and n_decoded >= section.stop:
        _refuse_length(path, "its length", limits)
    is_open = section.whole or section.may_end_early
    if n_decoded < (section.start + 1 if is_open else section.stop):
        sr = sound.sr
        wish = f"from {section.start / sr:g} s"
        wish += "" if is_open else f" to {section.stop / sr:g} s"
        reason = f"lasts {n_decoded / sr:g} s, but the requested section is {wish}"
        raise AudioError("bad_range", path, f"{reason}; choose one inside the file")


def _check_audible(
    levels: RunningLevels, sr: int, path: str | Path, limits: AudioLimits, *, mono: bool
) -> None:
    if levels.n < limits.min_duration_s * sr:
        rule = f"at least {limits.min_duration_s:g} s is needed; use a longer clip"
        raise AudioError("too_short", path, f"lasts {levels.n / sr:.3f} s, {rule}")
    if levels.rms_without_dc < limits.silence_rms:
        raise AudioError("silent", path, "is silent once its DC offset is removed")
    if mono and levels.mono_rms < limits.silence_rms:
        reason = "its channels cancel to silence when mixed to mono; use one channel of it"
        raise AudioError("silent", path, reason)


def _warnings(levels: RunningLevels, sr_file: int, sr: int) -> tuple[str, ...]:
    n_channels = len(levels.total)
    said = {
        f"dc_offset={levels.dc:.2f}": levels.dc > 0.02,
        "clipped": levels.n_clipped > 1e-3 * levels.n * n_channels,
        f"peak={levels.peak:.2f}": levels.peak > 1,
        "very_quiet": levels.rms < 1e-3,
        f"downmix_{n_channels}ch": n_channels > 2,
        "mono_cancels": n_channels > 1 and levels.mono_rms < 0.1 * levels.rms,
        f"low_rate={sr_file}": sr_file < sr,
    }
    return tuple(name for name, holds in said.items() if holds)
