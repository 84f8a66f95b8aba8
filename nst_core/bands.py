"""Powers in bands: two real frames to a transform, and a bin to the two bands that see it.

A third of the time of a matrix product with the bank, which is nearly all zeros.
"""

from functools import partial

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.pairs import BLOCK_FRAMES, load_pairs
from nst_core.stft import ComplexArray, FloatArray, frame_count, hann
from nst_core.threads import side_by_side

_QUARTER = np.float32(0.25)
PART_FRAMES = 2048
"""Worked on by one thread at a time."""


def bands_of_bins(weights: FloatArray) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Where a bank of tiling triangles, shape (n_bands, n_bins), is not zero.

    Returns
    -------
    lower : shape (n_bins,), int32
        The lower of the at most two bands, one after the other, that see a bin.
    shares : shape (n_bins, 2), float32
        Weights of that band and of the next.
    """
    lower = (weights > 0).argmax(axis=0).astype(np.int32)
    padded = np.pad(weights, ((0, 1), (0, 0)))
    return lower, np.stack([padded[lower + i, np.arange(len(lower))] for i in (0, 1)], axis=1)


def band_spectrogram(y: FloatArray, n_fft: int, hop_length: int, bank: FloatArray) -> FloatArray:
    """Powers of a waveform in the bands of a bank.

    Parameters
    ----------
    y : shape (n_samples,), float32
    n_fft, hop_length
        Samples.
    bank : shape (n_bins, n_bands), float32
        Triangles that tile: a bin is seen by two bands at most, one after the other.

    Returns
    -------
    shape (n_frames, n_bands), float32, >= 0
        ``|STFT|**2 @ bank``, to the rounding of a frame's louder partner.
    """
    layout = bands_of_bins(bank.T)
    powers = np.zeros((frame_count(len(y), hop_length), bank.shape[1] + 1), np.float32)
    padded = np.pad(y, (n_fft // 2, n_fft // 2 + hop_length))  # an odd last frame has a partner

    def fill(first: int) -> None:
        pairs = np.empty((BLOCK_FRAMES // 2, n_fft), np.complex64)
        for start in range(first, min(first + PART_FRAMES, len(powers)), BLOCK_FRAMES):
            part = powers[start : start + BLOCK_FRAMES]
            z = pairs[: -(-len(part) // 2)]
            load_pairs(padded[start * hop_length :], hann(n_fft), hop_length, z)
            _add_bands(fft.fft(z, axis=1, overwrite_x=True), *layout, part)

    side_by_side([partial(fill, first) for first in range(0, len(powers), PART_FRAMES)])
    return np.ascontiguousarray(powers[:, :-1])


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_bands(
    pairs: ComplexArray,
    bin_bands: npt.NDArray[np.int32],
    shares: FloatArray,
    powers: FloatArray,
) -> None:
    """Add the bins' powers to the bands; the last column takes what no band sees."""
    half = pairs.shape[1] // 2
    even, odd = np.empty(half + 1, np.float32), np.empty(half + 1, np.float32)
    for p in range(len(pairs)):
        z = pairs[p]
        for k in range(half + 1):
            w = z[-k] if k else z[0]
            a, b = z[k].real + w.real, z[k].imag - w.imag
            c, d = z[k].imag + w.imag, w.real - z[k].real
            even[k] = _QUARTER * (a * a + b * b)
            odd[k] = _QUARTER * (c * c + d * d)
        _add_frame(even, bin_bands, shares, powers[2 * p])
        if 2 * p + 1 < len(powers):
            _add_frame(odd, bin_bands, shares, powers[2 * p + 1])


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_frame(
    power: FloatArray, bin_bands: npt.NDArray[np.int32], shares: FloatArray, out: FloatArray
) -> None:
    for k in range(len(power)):
        band = bin_bands[k]
        out[band] += shares[k, 0] * power[k]
        out[band + 1] += shares[k, 1] * power[k]
