"""Smoothing of band powers along time: over attacks, and up to them."""

import numba
import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.config import CarrierConfig

_SHARPEST = 8.0
"""Factor on a rise of the log level, at an attack of 1."""
_LEAST_WIDTH = 0.5
"""Frames; below it, the filter would only leak."""
_KERNELS_PER_BLOCK = 4
"""Length of a block to convolve. A shorter one is mostly overlap, a longer one leaves the cache."""


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _recursive_smooth(x: FloatArray, feedback: FloatArray) -> None:
    """First-order low-pass along time, forward then backward, in place."""
    n_frames, n_bands = x.shape
    for t in range(1, n_frames):
        for b in range(n_bands):
            x[t, b] += feedback[t, b] * (x[t - 1, b] - x[t, b])
    for t in range(n_frames - 2, -1, -1):
        for b in range(n_bands):
            x[t, b] += feedback[t + 1, b] * (x[t + 1, b] - x[t, b])


def edge_aware_smooth(
    power: FloatArray,
    config: CarrierConfig,
    *,
    mean: float | None = None,
    narrowing: FloatArray | None = None,
) -> FloatArray:
    """Smooth band powers along time, but not across onsets.

    Domain-transform recursive filter (Gastal & Oliveira 2011, eq. 21), guided by the
    rises of the log envelope averaged over neighbouring bands; one forward and one
    backward pass.

    Parameters
    ----------
    power : shape (n_frames, n_bands), float32, >= 0
    mean
        Mean of the whole track's `power`, if this is a stretch of a track.
    narrowing : shape (n_frames,), float32, 0..1
        Factor on the width of the smoothing, frame by frame; None is 1.

    Returns
    -------
    shape (n_frames, n_bands), float32, >= 0
    """
    floor = np.float32(1e-5 * (power.mean() if mean is None else mean) + 1e-12)
    guide = np.log(gaussian_filter1d(power, 3, axis=0) + floor)
    guide = uniform_filter1d(guide, 2 * config.edge_bands + 1, axis=1, mode="nearest")
    rise = np.maximum(np.diff(guide, axis=0, prepend=guide[:1]), 0)
    width = np.full((1, 1), config.edge_frames, np.float32)
    if narrowing is not None:
        width = width * narrowing[:, None]
    # exp(-sqrt2 / width * (1 + sharpness * width * rise)); a width of half a frame is none.
    blur = np.sqrt(2) / np.maximum(width, _LEAST_WIDTH)
    feedback = np.exp(-blur - np.sqrt(2) * _SHARPEST * config.attack * rise)
    feedback *= width > _LEAST_WIDTH
    smooth = power.copy()
    _recursive_smooth(smooth, feedback.astype(np.float32))
    return smooth


def gaussian_along_time(x: FloatArray, deviation: float) -> FloatArray:
    """Apply `gaussian_filter1d` along the first axis, with edges repeated; fast if it is wide.

    In double precision, because 1e-7 of a peak can be the whole power of a quiet passage.
    """
    radius = int(4 * deviation + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(x, ((radius, radius), (0, 0)), mode="edge")
    smooth = np.empty(x.shape, np.float32)
    n_fft = fft.next_fast_len(min(_KERNELS_PER_BLOCK * len(kernel), len(padded)), real=True)
    spectrum, hop = fft.rfft(kernel, n_fft), n_fft - 2 * radius
    for start in range(0, len(x), hop):
        block = padded[start : start + n_fft].T.astype(np.float64)
        # The transform is circular: what it wraps around is in the first 2 * radius samples.
        found = fft.irfft(fft.rfft(block, n_fft) * spectrum, n_fft)[:, 2 * radius :]
        smooth[start : start + hop] = found.T[: len(x) - start]
    return smooth
