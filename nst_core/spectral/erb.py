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


def erb_bank(n_bands: int, n_fft: int, sr: int) -> FloatArray:
    """Return triangular bands on the ERB-rate scale that sum to one at every bin.

    Returns
    -------
    shape (n_filled_bands, n_bins), float32, read-only
        Bands without a bin between their edges are left out.
    """
    return _bank_and_centres(n_bands, n_fft, sr)[0]


def erb_centres(n_bands: int, n_fft: int, sr: int) -> FloatArray:
    """Return the centre of each band of `erb_bank` in Hz: shape (n_filled_bands,), float32."""
    return _bank_and_centres(n_bands, n_fft, sr)[1]


@lru_cache(maxsize=4)
def _bank_and_centres(n_bands: int, n_fft: int, sr: int) -> tuple[FloatArray, FloatArray]:
    rate = erb_rate(np.fft.rfftfreq(n_fft, 1 / sr))
    centres = np.linspace(float(erb_rate(_LOW_HZ)), float(erb_rate(sr / 2)), n_bands)
    bank = np.maximum(0, 1 - np.abs(rate - centres[:, None]) / (centres[1] - centres[0]))
    bank[0, rate < centres[0]] = 1
    is_filled = bank.sum(axis=1) > 0
    bank = bank[is_filled]
    normalised: FloatArray = (bank / bank.sum(axis=0)).astype(np.float32)
    of_bands = erb_frequency(centres[is_filled]).astype(np.float32)
    for array in (normalised, of_bands):
        array.setflags(write=False)
    return normalised, of_bands
