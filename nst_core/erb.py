"""Bands as wide as hearing's own, on the ERB-rate scale."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nst_core.stft import FloatArray

_LOW_HZ = 50.0
"""Centre of the lowest band, which takes in all below it."""


def erb_rate(frequency: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """ERB-rate scale (Glasberg & Moore 1990)."""
    rate: npt.NDArray[np.float64] = 9.265 * np.log(1 + np.asarray(frequency) / 228.8)
    return rate


def erb_frequency(rate: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Undo `erb_rate`."""
    frequency: npt.NDArray[np.float64] = 228.8 * (np.exp(np.asarray(rate) / 9.265) - 1)
    return frequency


@lru_cache(maxsize=4)
def erb_bank(n_bands: int, n_fft: int, sr: int) -> FloatArray:
    """Triangular bands on the ERB-rate scale that sum to one at every bin.

    Returns
    -------
    shape (n_bins, n_filled_bands), float32
        Bands between whose edges no bin lies are left out.
    """
    rate = erb_rate(np.fft.rfftfreq(n_fft, 1 / sr))
    centres = np.linspace(float(erb_rate(_LOW_HZ)), float(erb_rate(sr / 2)), n_bands)
    bank = np.maximum(0, 1 - np.abs(rate[:, None] - centres) / (centres[1] - centres[0]))
    bank[rate < centres[0], 0] = 1
    bank = bank[:, bank.sum(axis=0) > 0]
    normalised: FloatArray = (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)
    normalised.setflags(write=False)
    return normalised
