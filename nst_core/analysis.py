"""What a transfer needs to know of one input, computed once however many pairs use it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_core.audio import rms, set_rms
from nst_core.config import MelConfig
from nst_core.errors import SignalError
from nst_core.mel import check_signal, power_mel
from nst_core.stft import FloatArray

LEVEL = 0.1
"""RMS at which music and ambience meet."""

_SILENT_RMS = 1e-5


@dataclass(frozen=True)
class Analysis:
    """One input, music or ambience.

    Attributes
    ----------
    y : shape (n_samples,), float32
        At its own level.
    M : shape (n_mels, n_frames), float32, >= 0
        Power mel of the waveform at `LEVEL`.
    """

    y: FloatArray
    M: FloatArray

    def levelled(self) -> FloatArray:
        """The waveform at `LEVEL`."""
        return set_rms(self.y, LEVEL)


def analyse(y: FloatArray, mel: MelConfig, *, name: str) -> Analysis:
    """Check and analyse one input.

    Parameters
    ----------
    y : shape (n_samples,), float32
        At ``mel.sr``.
    name
        What a message calls it, e.g. ``music``.

    Raises
    ------
    SignalError
        ``bad_signal``, ``non_finite``, ``too_short`` or ``silent``.
    """
    y = check_signal(y, name=name)
    if len(y) < mel.n_fft:
        raise SignalError(
            f"{name} has {len(y)} samples, at least {mel.n_fft} are needed; use a longer clip",
            code="too_short",
        )
    if rms(y) < _SILENT_RMS:
        raise SignalError(
            f"{name} is silent (RMS {rms(y):.1g}); use an audible clip", code="silent"
        )
    return Analysis(y, power_mel(set_rms(y, LEVEL), mel))


def save_analysis(path: Path, analysis: Analysis) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    np.savez(path, y=analysis.y, M=analysis.M)


def load_analysis(path: Path) -> Analysis:
    """Read what `save_analysis` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Analysis(arrays["y"], arrays["M"])
