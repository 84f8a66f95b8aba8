"""Transform real frames two at a time, in blocks that fit into the cache.

The even frame is the real part and the odd one the imaginary part, which takes a quarter less
time than two real transforms. The rounding of a frame depends on its partner, so two parts of
a track agree bit for bit only if both begin on even frames.

The loops in `nst_core.spectral.bands`, `nst_core.spectral.griffin_lim` and
`nst_core.carrier.imposition` each separate the two spectra in place. A helper here would save
four lines in each, but Numba's cache does not notice a change of a function in another file and
would keep running the old one.
"""

import numba

from nst_core.arrays import ComplexArray, FloatArray

BLOCK_FRAMES = 128
"""Frames transformed at a time: half a megabyte with 1024 samples per frame."""


@numba.njit(error_model="numpy", cache=True, nogil=True)
def load_pairs(y: FloatArray, window: FloatArray, hop: int, pairs: ComplexArray) -> None:
    """Fill `pairs` with windowed frames of `y`, two per row."""
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
    """Add the first `n_frames` frames to `y`, in order, so that blocks do not change any bit."""
    n_fft = len(window)
    for t in range(n_frames):
        part, z = y[t * hop : t * hop + n_fft], pairs[t // 2]
        if t % 2:
            for i in range(n_fft):
                part[i] += z[i].imag * window[i]
        else:
            for i in range(n_fft):
                part[i] += z[i].real * window[i]
