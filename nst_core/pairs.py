"""Real frames transformed two at a time, in blocks that stay in the cache.

The even frame is the real part and the odd one the imaginary: a quarter less time than
two real transforms. A frame leans on its partner by the rounding of one transform, so
stretches of one track agree bit for bit if both begin on even frames.
"""

import numba

from nst_core.stft import ComplexArray, FloatArray

BLOCK_FRAMES = 128
"""Frames transformed at a time: half a megabyte at 1024."""


@numba.njit(error_model="numpy", cache=True, nogil=True)
def load_pairs(y: FloatArray, window: FloatArray, hop: int, pairs: ComplexArray) -> None:
    """Windowed frames of `y`, two to a row."""
    n_fft = len(window)
    for p in range(len(pairs)):
        z = pairs[p]
        even = y[2 * p * hop : 2 * p * hop + n_fft]
        odd = y[(2 * p + 1) * hop : (2 * p + 1) * hop + n_fft]
        for i in range(n_fft):
            z[i] = complex(even[i] * window[i], odd[i] * window[i])


@numba.njit(error_model="numpy", cache=True, nogil=True)
def overlap_add_pairs(
    pairs: ComplexArray, window: FloatArray, hop: int, n_frames: int, y: FloatArray
) -> None:
    """Add the first `n_frames` frames to `y`, in their order: blocks change no bit."""
    n_fft = len(window)
    for t in range(n_frames):
        part, z = y[t * hop : t * hop + n_fft], pairs[t // 2]
        if t % 2:
            for i in range(n_fft):
                part[i] += z[i].imag * window[i]
        else:
            for i in range(n_fft):
                part[i] += z[i].real * window[i]
