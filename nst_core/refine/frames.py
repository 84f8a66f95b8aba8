"""Spectra of overlapping frames, from and to a waveform, in blocks that fit into the cache.

Frames are transformed in pairs (see `nst_core.spectral.frame_pairs`), and parts of the track side
by side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.arrays import ComplexArray, FloatArray
from nst_core.runtime.threads import side_by_side
from nst_core.spectral.bands import bands_of_bins
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.frame_pairs import BLOCK_FRAMES, load_pairs, overlap_add_pairs
from nst_core.spectral.stft import hann

_HALF = np.float32(0.5)
_PART_FRAMES = 512
"""Frames that one thread processes at a time; even, so that pairs are the same for any number."""


@dataclass(frozen=True)
class Layout:
    """Frames and bands: sizes in samples, and the two bands that see each bin.

    The hop must be a third of the window or less: Hann windows then add up to a constant.
    """

    n_fft: int
    hop_length: int
    n_bands: int
    lower: npt.NDArray[np.int32]
    shares: FloatArray

    @classmethod
    def of(cls, n_fft: int, hop_length: int, n_bands: int, sr: int) -> "Layout":
        """Return the layout for bands of `erb_bank`."""
        bank = erb_bank(n_bands, n_fft, sr)
        return cls(n_fft, hop_length, len(bank), *bands_of_bins(bank))

    @property
    def overlap_gain(self) -> np.float32:
        """Factor on frames that were windowed twice, before they are added up."""
        return np.float32(8 * self.hop_length / (3 * self.n_fft))


def padded_length(n_frames: int, layout: Layout) -> int:
    """Return the length of the added frames and of a partner for an odd last one."""
    return (n_frames - 1) * layout.hop_length + layout.n_fft + layout.hop_length


def _blocks(first: int, n_frames: int) -> list[slice]:
    last = min(first + _PART_FRAMES, n_frames)
    return [slice(a, min(a + BLOCK_FRAMES, last)) for a in range(first, last, BLOCK_FRAMES)]


def _pairs(layout: Layout) -> ComplexArray:
    return np.empty((BLOCK_FRAMES // 2, layout.n_fft), np.complex64)


def analyse(
    y: FloatArray, layout: Layout, D: ComplexArray, powers: FloatArray | None = None
) -> None:
    """Fill `D` with the spectra of a padded waveform's frames, and add their band powers."""
    window = hann(layout.n_fft)

    def fill(first: int) -> None:
        pairs = _pairs(layout)
        for block in _blocks(first, len(D)):
            z = pairs[: -(-len(D[block]) // 2)]
            load_pairs(y[block.start * layout.hop_length :], window, layout.hop_length, z)
            _separate(fft.fft(z, axis=1, overwrite_x=True), D[block])
            if powers is not None:
                _add_powers(D[block], layout.lower, layout.shares, powers[block])

    side_by_side([partial(fill, first) for first in range(0, len(D), _PART_FRAMES)])


def correlate(
    y: FloatArray, D: ComplexArray, gains: FloatArray, layout: Layout, found: FloatArray
) -> None:
    """Add the gradient with respect to log gains from that with respect to the waveform."""
    window = hann(layout.n_fft)
    scale = np.float32(layout.overlap_gain / layout.n_fft)

    def fill(first: int) -> None:
        pairs = _pairs(layout)
        F = np.empty((BLOCK_FRAMES, D.shape[1]), np.complex64)
        for block in _blocks(first, len(D)):
            n = block.stop - block.start
            z = pairs[: -(-n // 2)]
            load_pairs(y[block.start * layout.hop_length :], window, layout.hop_length, z)
            _separate(fft.fft(z, axis=1, overwrite_x=True), F[:n])
            of_block = D[block], gains[block], F[:n]
            _add_products(*of_block, layout.lower, layout.shares, scale, found[block])

    side_by_side([partial(fill, first) for first in range(0, len(D), _PART_FRAMES)])


def synthesise(
    D: ComplexArray, log_gains: FloatArray, layout: Layout, gains: FloatArray
) -> FloatArray:
    """Return the padded waveform of scaled frames; the gains of bins are kept in `gains`."""

    def fill(first: int) -> FloatArray:
        pairs = _pairs(layout)
        out = np.zeros(padded_length(min(_PART_FRAMES, len(D) - first), layout), np.float32)
        for block in _blocks(first, len(D)):
            of_bins = gains[block]
            _spread(log_gains[block], layout.lower, layout.shares, of_bins)
            np.exp(of_bins, out=of_bins)
            z = pairs[: -(-len(of_bins) // 2)]
            _join_scaled(D[block], of_bins, layout.overlap_gain, z)
            _add_frames(z, len(of_bins), layout, out[(block.start - first) * layout.hop_length :])
        return out

    return _in_order(fill, len(D), layout)


def back_to_waveform(D: ComplexArray, of_powers: FloatArray, layout: Layout) -> FloatArray:
    """Return the gradient with respect to the padded waveform from that of band powers."""
    scale = np.float32(2 * layout.n_fft)  # of the transform's own 1 / n, and of the square

    def fill(first: int) -> FloatArray:
        pairs = _pairs(layout)
        out = np.zeros(padded_length(min(_PART_FRAMES, len(D) - first), layout), np.float32)
        of_bins = np.empty((BLOCK_FRAMES, D.shape[1]), np.float32)
        for block in _blocks(first, len(D)):
            n = block.stop - block.start
            _spread(of_powers[block], layout.lower, layout.shares, of_bins[:n])
            # The halving in `_spread` is right for bins that the inverse transform counts twice.
            of_bins[:n, [0, -1]] *= 2
            z = pairs[: -(-n // 2)]
            _join_scaled(D[block], of_bins[:n], scale, z)
            _add_frames(z, n, layout, out[(block.start - first) * layout.hop_length :])
        return out

    return _in_order(fill, len(D), layout)


def _add_frames(z: ComplexArray, n_frames: int, layout: Layout, out: FloatArray) -> None:
    z = fft.ifft(z, axis=1, overwrite_x=True)
    overlap_add_pairs(z, hann(layout.n_fft), layout.hop_length, n_frames, out)


def _in_order(fill: Callable[[int], FloatArray], n_frames: int, layout: Layout) -> FloatArray:
    """Add parts in order: the result does not depend on the number of threads."""
    whole = np.zeros(padded_length(n_frames, layout), np.float32)
    firsts = range(0, n_frames, _PART_FRAMES)
    parts = side_by_side([partial(fill, first) for first in firsts])
    for first, part in zip(firsts, parts, strict=True):
        start = first * layout.hop_length
        whole[start : start + len(part)] += part[: len(whole) - start]
    return whole


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _separate(pairs: ComplexArray, D: ComplexArray) -> None:
    """Separate the spectra of frame pairs; an odd last frame's partner is dropped."""
    half = pairs.shape[1] // 2
    for t in range(len(D)):
        z, out = pairs[t // 2], D[t]
        if t % 2:
            for k in range(half + 1):
                w = z[-k] if k else z[0]
                out[k] = complex(_HALF * (z[k].imag + w.imag), _HALF * (w.real - z[k].real))
        else:
            for k in range(half + 1):
                w = z[-k] if k else z[0]
                out[k] = complex(_HALF * (z[k].real + w.real), _HALF * (z[k].imag - w.imag))


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _join_scaled(
    D: ComplexArray, gains: FloatArray, scale: np.float32, pairs: ComplexArray
) -> None:
    """Scale spectra, and join two to one whose inverse has them as real and imaginary part."""
    half = pairs.shape[1] // 2
    for p in range(len(pairs)):
        z = pairs[p]
        has_partner = 2 * p + 1 < len(D)
        even, odd = D[2 * p], D[2 * p + 1 if has_partner else 2 * p]
        g, h = gains[2 * p], gains[2 * p + 1 if has_partner else 2 * p]
        keep = scale if has_partner else np.float32(0)
        for k in range(half + 1):
            x, y = even[k].real * (scale * g[k]), even[k].imag * (scale * g[k])
            u, v = odd[k].real * (keep * h[k]), odd[k].imag * (keep * h[k])
            if k in (0, half):
                z[k] = complex(x, u)
            else:
                z[k] = complex(x - v, y + u)
                z[-k] = complex(x + v, u - y)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _spread(
    of_bands: FloatArray, lower: npt.NDArray[np.int32], shares: FloatArray, of_bins: FloatArray
) -> None:
    """Spread half of each band's value to the bins that it sees."""
    n_bands = of_bands.shape[1]
    for t in range(len(of_bins)):
        row, out = of_bands[t], of_bins[t]
        for k in range(len(out)):
            band = lower[k]
            above = min(band + 1, n_bands - 1)
            out[k] = _HALF * (shares[k, 0] * row[band] + shares[k, 1] * row[above])


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_powers(
    D: ComplexArray, lower: npt.NDArray[np.int32], shares: FloatArray, powers: FloatArray
) -> None:
    """Add the powers of bins to the two bands that see them; the last column is a spare one."""
    for t in range(len(D)):
        row, out = D[t], powers[t]
        for k in range(len(row)):
            power = row[k].real * row[k].real + row[k].imag * row[k].imag
            out[lower[k]] += shares[k, 0] * power
            out[lower[k] + 1] += shares[k, 1] * power


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_products(
    D: ComplexArray,
    gains: FloatArray,
    F: ComplexArray,
    lower: npt.NDArray[np.int32],
    shares: FloatArray,
    scale: np.float32,
    found: FloatArray,
) -> None:
    """Add the real products of scaled spectra and a waveform's gradient to the bands."""
    last = D.shape[1] - 1
    for t in range(len(D)):
        x, g, f, out = D[t], gains[t], F[t], found[t]
        for k in range(last + 1):
            # A gain is half of a log power gain, and inner bins count twice: together one.
            counted = scale * _HALF if k in (0, last) else scale
            product = counted * g[k] * (x[k].real * f[k].real + x[k].imag * f[k].imag)
            out[lower[k]] += shares[k, 0] * product
            out[lower[k] + 1] += shares[k, 1] * product
