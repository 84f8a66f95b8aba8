"""Scale a waveform in time and frequency so that its bands get given powers."""

from functools import lru_cache, partial

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.arrays import ComplexArray, FloatArray
from nst_core.config import CarrierConfig
from nst_core.runtime.threads import side_by_side
from nst_core.spectral.bands import PART_FRAMES, bands_of_bins
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.frame_pairs import BLOCK_FRAMES, load_pairs, overlap_add_pairs
from nst_core.spectral.stft import hann, normalise_overlap

_MIN_GAIN, _MAX_GAIN = np.float32(1e-3), np.float32(1e3)
_HALF, _QUARTER = np.float32(0.5), np.float32(0.25)


def impose(
    y: FloatArray,
    target: FloatArray,
    sr: int,
    config: CarrierConfig,
    *,
    peak: float | None = None,
) -> FloatArray:
    """Scale `y` in time and frequency towards the band powers `target`.

    Parameters
    ----------
    y : shape (n_samples,), float32
    target : shape (n_frames, n_bands), float32
        Band powers under ``band_n_fft`` and `erb_bank`.
    peak
        Largest band power of the whole track, if this is a stretch of a track; by default that
        of `target`. Silence is defined relative to it.

    Returns
    -------
    shape (n_samples,), float32
        Result of one pass; overlapping frames disagree, so a few passes come closer.
    """
    n_fft, hop = config.band_n_fft, config.band_hop_length
    n_frames, overlap = len(target), n_fft // hop
    layout = _bands_of_bins(config.n_bands, n_fft, sr)
    padded = np.pad(y, (n_fft // 2, n_fft // 2 + hop))
    floor = np.float32(1e-12 * (target.max() if peak is None else peak) + 1e-14)

    def impose_on(first: int) -> FloatArray:
        part = target[first : first + PART_FRAMES]
        out = np.zeros((len(part) + overlap - 1) * hop, np.float32)
        pairs = np.empty((BLOCK_FRAMES // 2, n_fft), np.complex64)
        for start in range(0, len(part), BLOCK_FRAMES):
            goal = part[start : start + BLOCK_FRAMES]
            z = pairs[: -(-len(goal) // 2)]
            load_pairs(padded[(first + start) * hop :], hann(n_fft), hop, z)
            z = fft.fft(z, axis=1, overwrite_x=True)
            _impose_bands(z, goal, *layout, floor)
            z = fft.ifft(z, axis=1, overwrite_x=True)
            overlap_add_pairs(z, hann(n_fft), hop, len(goal), out[start * hop :])
        return out

    # The parts do not depend on the number of threads and are added in order.
    whole = np.zeros((n_frames + overlap - 1) * hop, np.float32)
    firsts = range(0, n_frames, PART_FRAMES)
    parts = side_by_side([partial(impose_on, first) for first in firsts])
    for first, part in zip(firsts, parts, strict=True):
        whole[first * hop : first * hop + len(part)] += part
    return normalise_overlap(whole, n_fft, hop, len(y))


@lru_cache(maxsize=4)
def _bands_of_bins(
    n_bands: int, n_fft: int, sr: int
) -> tuple[npt.NDArray[np.int32], FloatArray, int]:
    bank = erb_bank(n_bands, n_fft, sr)
    return *bands_of_bins(bank), len(bank)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _impose_bands(
    pairs: ComplexArray,
    goal: FloatArray,
    bin_bands: npt.NDArray[np.int32],
    shares: FloatArray,
    n_bands: int,
    floor: np.float32,
) -> None:
    """Scale both frames of each pair so that their band powers become `goal`."""
    half = pairs.shape[1] // 2
    spectra = np.empty((4, half + 1), np.float32)
    a, b, c, d = spectra  # of the even frame, then of the odd one, doubled
    power = np.empty((2, n_bands + 1), np.float32)
    for p in range(len(pairs)):
        z = pairs[p]
        for k in range(half + 1):
            w = z[-k] if k else z[0]
            a[k], b[k] = z[k].real + w.real, z[k].imag - w.imag
            c[k], d[k] = z[k].imag + w.imag, w.real - z[k].real
        power[:] = 0
        for k in range(half + 1):
            band, low, high = bin_bands[k], shares[k, 0], shares[k, 1]
            even, odd = a[k] * a[k] + b[k] * b[k], c[k] * c[k] + d[k] * d[k]
            power[0, band] += low * even
            power[0, band + 1] += high * even
            power[1, band] += low * odd
            power[1, band + 1] += high * odd
        for i in range(2):
            wanted = goal[min(2 * p + i, len(goal) - 1)]
            for band in range(n_bands):
                gain = np.sqrt(wanted[band] / (_QUARTER * power[i, band] + floor))
                power[i, band] = _HALF * min(max(gain, _MIN_GAIN), _MAX_GAIN)
        for k in range(half + 1):
            band, low, high = bin_bands[k], shares[k, 0], shares[k, 1]
            even = low * power[0, band] + high * power[0, band + 1]
            odd = low * power[1, band] + high * power[1, band + 1]
            x, y, u, v = a[k] * even, b[k] * even, c[k] * odd, d[k] * odd
            z[k] = complex(x - v, y + u)
            if 0 < k < half:
                z[-k] = complex(x + v, u - y)
