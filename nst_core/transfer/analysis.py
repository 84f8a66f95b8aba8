"""Analysis of one input, computed once for all pairs that use it."""

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

_SILENT_RMS = AudioLimits.silence_rms
_OFFSET_SHARE = 0.01
"""A mean above this share of the RMS is a DC offset, a fault of the recording."""


@dataclass(frozen=True)
class Analysis:
    """Analysis of one input, music or ambience.

    Attributes
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
        Waveform at its original level, without a DC offset.
    mel_frames : shape (n_frames, n_mels), float32, >= 0
        Power mel of the mono mix at `LEVEL`, frame by frame.
    """

    y: Sliceable
    mel_frames: Sliceable

    @property
    def M(self) -> FloatArray:  # noqa: N802  # the field's sign for it
        """Power mel, shape (n_mels, n_frames)."""
        return self.power_mel(slice(None))

    def power_mel(self, frames: slice) -> FloatArray:
        """Return some frames of `M`."""
        return np.ascontiguousarray(self.mel_frames[frames].T)

    def levelled(self) -> Sliceable:
        """Return the mono mix at `LEVEL`, shape (n_samples,), float32."""
        return set_rms(derive(to_mono, self.y), LEVEL)


def analyse(y: Sliceable, mel: MelConfig, *, name: str, scratch: Path | None = None) -> Analysis:
    """Check and analyse one input.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
        At ``mel.sr``. Two channels are kept, more are mixed down.
    name
        Name in messages, such as ``music``.
    scratch
        Folder for the mel of a long piece; if None, it stays in memory.

    Raises
    ------
    SignalError
        ``bad_signal``, ``non_finite``, ``too_short`` or ``silent``; a constant is silent.
    """
    y = derive(_as_float32, y)
    mono = check_signal(derive(to_mono, y) if len(y.shape) == 2 and min(y.shape) else y, name=name)
    y = y if y.shape[1:] == (2,) else mono
    if len(y) < mel.n_fft:
        raise SignalError(
            f"{name} has {len(y)} samples, but needs at least {mel.n_fft}; use a longer clip",
            code="too_short",
        )
    level = rms(mono)
    if abs(float(_mean(mono))) > _OFFSET_SHARE * level:
        y = derive(partial(_without, _mean(y)), y)
        mono = derive(to_mono, y)
        level = rms(mono)
    if level < _SILENT_RMS <= rms(y):
        raise SignalError(
            f"{name} has channels that cancel to silence when they are mixed to mono; use one of "
            "them, or invert one",
            code="silent",
        )
    if level < _SILENT_RMS:
        raise SignalError(f"{name} is silent (RMS {level:.1g}); use an audible clip", code="silent")
    mono = set_rms(mono, LEVEL)
    mel_frames = Spool(scratch)
    total = n_frames(len(mono), mel)
    n = block_sizes.SIZES.analysed_frames
    for start in range(0, total, n):
        M = power_mel_of_frames(mono, slice(start, min(start + n, total)), mel)
        mel_frames.add(np.ascontiguousarray(M.T))
    return Analysis(y, mel_frames.whole())


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
    save_arrays(path, y=analysis.y, mel_frames=analysis.mel_frames)


def load_waveform(path: Path) -> Sliceable:
    """Read only the waveform from a file that `save_analysis` wrote."""
    (y,) = open_arrays(path, "y")
    return y


def load_analysis(path: Path) -> Analysis:
    """Read a file that `save_analysis` wrote."""
    return Analysis(*open_arrays(path, "y", "mel_frames"))
