"""Analysis of one input, computed once for all pairs that use it."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import rms, set_rms, to_mono
from nst_core.config import LEVEL, AudioLimits, MelConfig
from nst_core.errors import SignalError
from nst_core.spectral.mel import check_signal, n_frames, power_mel_of_frames
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Block, Sliceable, Spool, blocks, derive
from nst_core.streaming.npz import open_arrays, save_arrays
from nst_core.streaming.resampling import at_rate

_SILENT_RMS = AudioLimits.silence_rms
_OFFSET_SHARE = 0.01
"""A mean above this share of the RMS is a DC offset, a fault of the recording."""


@dataclass(frozen=True)
class Recording:
    """A waveform and its rate.

    Attributes
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
        Waveform as it was read.
    sr
        Its sample rate in Hz.
    """

    y: Sliceable
    sr: int

    def mono_at(self, sr: int, *, scratch: Path | None = None) -> Sliceable:
        """Return the mono mix at a rate and at `LEVEL`, shape (n_samples,), without an offset."""
        y = at_rate(without_offset(self.y), self.sr, sr, scratch=scratch)
        return set_rms(derive(to_mono, y), LEVEL)


@dataclass(frozen=True)
class Analysis:
    """Analysis of one input, music or ambience.

    Attributes
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
        Waveform as it was read.
    sr
        Its sample rate in Hz.
    mel_frames : shape (n_frames, n_mels), float32, >= 0
        Power mel of the mono mix at `LEVEL` and the mel's own rate, frame by frame.
    """

    y: Sliceable
    sr: int
    mel_frames: Sliceable

    @property
    def M(self) -> FloatArray:  # noqa: N802  # the field's sign for it
        """Power mel, shape (n_mels, n_frames)."""
        return self.power_mel(slice(None))

    @property
    def recording(self) -> Recording:
        """The waveform alone."""
        return Recording(self.y, self.sr)

    def power_mel(self, frames: slice) -> FloatArray:
        """Return some frames of `M`."""
        return np.ascontiguousarray(self.mel_frames[frames].T)


def analyse(
    y: Sliceable,
    mel: MelConfig,
    *,
    name: str,
    sr: int | None = None,
    scratch: Path | None = None,
) -> Analysis:
    """Check and analyse one input.

    Parameters
    ----------
    y, name, sr
        As for `check_recording`.
    scratch
        Folder for the mel of a long piece; if None, it stays in memory.
    """
    return with_mel(check_recording(y, mel, name=name, sr=sr), mel, scratch=scratch)


def check_recording(y: Sliceable, mel: MelConfig, *, name: str, sr: int | None = None) -> Recording:
    """Check one input, and compute no mel.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
        Two channels are kept, more are mixed down.
    name
        Name in messages, such as ``music``.
    sr
        Sample rate of `y` in Hz; by default ``mel.sr``.

    Raises
    ------
    SignalError
        ``bad_signal``, ``non_finite``, ``too_short`` or ``silent``; a constant is silent.
    """
    y = derive(_as_float32, y)
    mono = check_signal(derive(to_mono, y) if len(y.shape) == 2 and min(y.shape) else y, name=name)
    y = y if y.shape[1:] == (2,) else mono
    sr = sr or mel.sr
    least = math.ceil(mel.n_fft * sr / mel.sr)
    if len(y) < least:
        raise SignalError(
            f"{name} has {len(y)} samples, but needs at least {least}; use a longer clip",
            code="too_short",
        )
    without = without_offset(y)
    mono = derive(to_mono, without)
    level = rms(mono)
    if level < _SILENT_RMS <= rms(without):
        raise SignalError(
            f"{name} has channels that cancel to silence when they are mixed to mono; use one of "
            "them, or invert one",
            code="silent",
        )
    if level < _SILENT_RMS:
        raise SignalError(f"{name} is silent (RMS {level:.1g}); use an audible clip", code="silent")
    return Recording(y, sr)


def with_mel(recording: Recording, mel: MelConfig, *, scratch: Path | None = None) -> Analysis:
    """Return the analysis of a checked recording."""
    y, sr = recording.y, recording.sr
    mono = at_rate(derive(to_mono, without_offset(y)), sr, mel.sr, scratch=scratch)
    return Analysis(y, sr, _mel_frames(mono, mel, scratch))


def _mel_frames(mono: Sliceable, mel: MelConfig, scratch: Path | None) -> Sliceable:
    # A sound may lie above the mel's highest band, where its mel is silent.
    mono = set_rms(mono, LEVEL) if rms(mono) >= _SILENT_RMS else mono
    mel_frames = Spool(scratch)
    total = n_frames(len(mono), mel)
    n = block_sizes.SIZES.analysed_frames
    for start in range(0, total, n):
        M = power_mel_of_frames(mono, slice(start, min(start + n, total)), mel)
        mel_frames.add(np.ascontiguousarray(M.T))
    return mel_frames.whole()


def without_offset(y: Sliceable) -> Sliceable:
    """Return a waveform without its DC offset, if it has a noticeable one.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
    """
    mono = derive(to_mono, y)
    mean = _mean(y)
    if abs(float(np.mean(mean))) <= _OFFSET_SHARE * rms(mono):
        return y
    return derive(partial(_without, mean), y)


def _as_float32(block: Block) -> FloatArray:
    return block.astype(np.float32, copy=False)


def _mean(y: Sliceable) -> Block:
    """Return the mean over time, in double precision."""
    total: Block = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(y)) / len(y)
    return total


def _without(offset: Block, block: FloatArray) -> FloatArray:
    return (block - offset).astype(np.float32)


def save_analysis(path: Path, analysis: Analysis) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    sr = np.int64(analysis.sr)
    save_arrays(path, y=analysis.y, sr=sr, mel_frames=analysis.mel_frames)


def load_recording(path: Path) -> Recording:
    """Read only the waveform from a file that `save_analysis` wrote."""
    y, sr = open_arrays(path, "y", "sr")
    return Recording(y, int(np.asarray(sr)))


def load_analysis(path: Path) -> Analysis:
    """Read a file that `save_analysis` wrote."""
    y, sr, mel_frames = open_arrays(path, "y", "sr", "mel_frames")
    return Analysis(y, int(np.asarray(sr)), mel_frames)
