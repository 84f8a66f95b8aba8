"""What a transfer needs to know of one input, computed once however many pairs use it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_core.audio import Waveform, rms, set_rms, to_mono
from nst_core.config import LEVEL, AudioLimits, MelConfig
from nst_core.errors import SignalError
from nst_core.mel import check_signal, power_mel
from nst_core.stft import FloatArray

_SILENT_RMS = AudioLimits.silence_rms
_OFFSET_SHARE = 0.01
"""A mean above this share of the RMS is a fault of the recording and no sound."""


@dataclass(frozen=True)
class Analysis:
    """One input, music or ambience.

    Attributes
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
        At its own level, without a DC offset that would count in it.
    M : shape (n_mels, n_frames), float32, >= 0
        Power mel of the mono mix at `LEVEL`.
    """

    y: Waveform
    M: FloatArray

    def levelled(self) -> FloatArray:
        """The mono mix at `LEVEL`."""
        return set_rms(to_mono(self.y), LEVEL)


def analyse(y: Waveform, mel: MelConfig, *, name: str) -> Analysis:
    """Check and analyse one input.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
        At ``mel.sr``. Two channels are kept, more are mixed down.
    name
        What a message calls it, e.g. ``music``.

    Raises
    ------
    SignalError
        ``bad_signal``, ``non_finite``, ``too_short`` or ``silent``; a constant is silent.
    """
    y = np.asarray(y, np.float32)
    mono = check_signal(to_mono(y) if y.ndim == 2 and y.size else y, name=name)
    y = y if y.shape[1:] == (2,) else mono
    if len(y) < mel.n_fft:
        raise SignalError(
            f"{name} has {len(y)} samples, at least {mel.n_fft} are needed; use a longer clip",
            code="too_short",
        )
    if abs(float(mono.mean(dtype=np.float64))) > _OFFSET_SHARE * rms(mono):
        y = _without_offset(y)
        mono = to_mono(y)
    if rms(mono) < _SILENT_RMS <= rms(y):
        raise SignalError(
            f"{name} has channels that cancel to silence when they are mixed to mono; use one of "
            "them, or turn one over",
            code="silent",
        )
    if rms(mono) < _SILENT_RMS:
        raise SignalError(
            f"{name} is silent (RMS {rms(mono):.1g}); use an audible clip", code="silent"
        )
    return Analysis(y, power_mel(set_rms(mono, LEVEL), mel))


def _without_offset(y: FloatArray) -> FloatArray:
    centred: FloatArray = (y - y.mean(axis=0, dtype=np.float64)).astype(np.float32)
    return centred


def save_analysis(path: Path, analysis: Analysis) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    np.savez(path, y=analysis.y, M=analysis.M)


def load_waveform(path: Path) -> Waveform:
    """Read the waveform alone of what `save_analysis` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        y: Waveform = arrays["y"]
        return y


def load_analysis(path: Path) -> Analysis:
    """Read what `save_analysis` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Analysis(arrays["y"], arrays["M"])
