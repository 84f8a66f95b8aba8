"""Mel bands for the metrics: each contains several bins.

`nst_core.spectral.mel` takes its bank from librosa, whose import would take longer than the
transfer of a short piece. A transfer needs no other bank than this one.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray

_LOW_HZ, _HIGH_HZ = 60.0, 8000.0
# Slaney's scale: 15 mel up to 1 kHz, then 27 mel for each factor of 6.4.
_LINEAR_HZ, _LINEAR_MEL = 1000.0, 15.0
_MEL_PER_LOG = 27 / math.log(6.4)


@lru_cache(maxsize=4)
def wide_bank(n_fft: int, n_bands: int, sr: int) -> FloatArray:
    """Return triangles from 60 Hz to 8 kHz whose largest weights are 1.

    Returns
    -------
    shape (n_bands, n_fft // 2 + 1), float32, read-only
        librosa's bank with Slaney's scale, but for the norm.
    """
    edges = _hz(np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), n_bands + 2))
    from_edge = np.fft.rfftfreq(n_fft, 1 / sr) - edges[:, None]
    width = np.diff(edges)[:, None]
    bank = np.maximum(0, np.minimum(from_edge[:-2] / width[:-1], -from_edge[2:] / width[1:]))
    bank /= np.maximum(bank.max(axis=1, keepdims=True), 1e-9)
    wide: FloatArray = bank.astype(np.float32)
    wide.setflags(write=False)
    return wide


def _mel(hz: float) -> float:
    if hz < _LINEAR_HZ:
        return hz * _LINEAR_MEL / _LINEAR_HZ
    return _LINEAR_MEL + math.log(hz / _LINEAR_HZ) * _MEL_PER_LOG


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = np.maximum(mel - _LINEAR_MEL, 0) / _MEL_PER_LOG
    linear = np.minimum(mel, _LINEAR_MEL) * _LINEAR_HZ / _LINEAR_MEL
    hz: npt.NDArray[np.float64] = linear * np.exp(above)
    return hz
