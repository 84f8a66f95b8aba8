"""Bands as wide as auditory filters, on the ERB-rate scale."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray

_LOW_HZ = 50.0
"""Centre of the lowest band, which includes all frequencies below it."""


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
    """Return triangular bands on the ERB-rate scale that sum to one at every bin.

    Returns
    -------
    shape (n_filled_bands, n_bins), float32, read-only
        Bands without a bin between their edges are left out.
    """
    rate = erb_rate(np.fft.rfftfreq(n_fft, 1 / sr))
    centres = np.linspace(float(erb_rate(_LOW_HZ)), float(erb_rate(sr / 2)), n_bands)
    bank = np.maximum(0, 1 - np.abs(rate - centres[:, None]) / (centres[1] - centres[0]))
    bank[0, rate < centres[0]] = 1
    bank = bank[bank.sum(axis=1) > 0]
    normalised: FloatArray = (bank / bank.sum(axis=0)).astype(np.float32)
    normalised.setflags(write=False)
    return normalised
