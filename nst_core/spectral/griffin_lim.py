"""Fast Griffin-Lim on consecutive frames, in blocks that fit into the cache.

Frames are transformed in pairs (`nst_core.spectral.frame_pairs`). Windows, magnitudes and
overlap-add are one compiled pass each; no array longer than the waveform is kept. Numba is used
without ``fastmath``, with which two runs differ by 1e-6.
"""

import numba
import numpy as np
from scipy import fft

from nst_core.arrays import ComplexArray, FloatArray
from nst_core.spectral.frame_pairs import BLOCK_FRAMES, load_pairs, overlap_add_pairs
from nst_core.spectral.stft import hann

_TINY = np.float32(1e-30)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _pack(real: FloatArray, imaginary: FloatArray, pairs: ComplexArray) -> None:
    """Combine spectra of real frames to those of ``even + 1j * odd``; the ends are real."""
    half = real.shape[1] - 1
    for p in range(len(real) // 2):
        z, even, odd = pairs[p], 2 * p, 2 * p + 1
        z[0] = complex(real[even, 0], real[odd, 0])
        z[half] = complex(real[even, half], real[odd, half])
        for k in range(1, half):
            a, b = real[even, k], imaginary[even, k]
            c, d = real[odd, k], imaginary[odd, k]
            z[k] = complex(a - d, b + c)
            z[2 * half - k] = complex(a + d, c - b)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _project(pairs: ComplexArray, S: FloatArray) -> None:
    """Give both frames of each pair their magnitudes, except for bins that no mel band sees."""
    half = pairs.shape[1] // 2
    mirrored = np.empty(half, np.complex64)
    bins = range(np.uint64(1), np.uint64(half))  # unsigned: without negative indices it vectorises
    for p in range(len(pairs)):
        low, high = pairs[p, :half], pairs[p, half:]
        even, odd = S[2 * p], S[2 * p + 1]
        for k in bins:
            mirrored[k] = high[np.uint64(half) - k]
        for k in range(1, half):
            z, w = low[k], mirrored[k]
            a, b = z.real + w.real, z.imag - w.imag
            c, d = z.imag + w.imag, w.real - z.real
            gain = even[k] / np.sqrt(a * a + b * b + _TINY)
            a, b = a * gain, b * gain
            gain = odd[k] / np.sqrt(c * c + d * d + _TINY)
            c, d = c * gain, d * gain
            low[k], mirrored[k] = complex(a - d, b + c), complex(a + d, c - b)
        for k in bins:
            high[np.uint64(half) - k] = mirrored[k]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _lead(
    y: FloatArray,
    inverse_power: FloatArray,
    previous: FloatArray,
    momentum: np.float32,
    leading: FloatArray,
) -> None:
    """Scale the overlapped `y`, extrapolate from its former value, and set it to zero."""
    for i in range(len(y)):
        scaled = y[i] * inverse_power[i]
        leading[i] = scaled + momentum * (scaled - previous[i])
        previous[i] = scaled
        y[i] = 0


def fast_griffin_lim(
    S: FloatArray,
    phase: FloatArray,
    inverse_power: FloatArray,
    hop_length: int,
    *,
    n_iterations: int,
    momentum: float,
) -> FloatArray:
    """Find a waveform whose spectrum has the magnitudes `S`.

    Perraudin, Balazs, Søndergaard 2013 add the momentum to the STFT; transform and
    inverse are linear, so we add it to the waveform, four times smaller.

    Parameters
    ----------
    S, phase : shape (n_frames, n_bins), float32
        Magnitude, and the phase to start from, in the frame-start convention. Parts of a
        track agree bit for bit if they begin on even frames.
    inverse_power : shape ((n_frames + n_fft / hop_length - 1) * hop_length,), float32
        Inverse of the summed squared windows; 0 where the waveform must be zero.
    hop_length
        Must divide ``n_fft``.
    n_iterations, momentum
        Number of steps after the start, and their overshoot.

    Returns
    -------
    shape of ``inverse_power``, float32
        Padded by half a frame at both ends.
    """
    n_frames, n_fft = len(S), 2 * (S.shape[1] - 1)
    n_samples, window = len(inverse_power), hann(n_fft)
    if n_frames % 2:  # a silent frame completes the last pair; it is not added to the result
        S, phase = np.pad(S, ((0, 1), (0, 0))), np.pad(phase, ((0, 1), (0, 0)))
        inverse_power = np.pad(inverse_power, (0, hop_length))
    y = np.zeros_like(inverse_power)
    previous, leading = np.zeros_like(y), np.empty_like(y)
    pairs = np.empty((BLOCK_FRAMES // 2, n_fft), np.complex64)

    def step(first: int, *, starts: bool) -> None:
        frames, samples = slice(first, first + BLOCK_FRAMES), slice(first * hop_length, None)
        magnitude = S[frames]
        z = pairs[: len(magnitude) // 2]
        if starts:
            _pack(magnitude * np.cos(phase[frames]), magnitude * np.sin(phase[frames]), z)
        else:
            load_pairs(leading[samples], window, hop_length, z)
            z = fft.fft(z, axis=1, overwrite_x=True)
            _project(z, magnitude)
        z = fft.ifft(z, axis=1, overwrite_x=True)
        overlap_add_pairs(z, window, hop_length, min(BLOCK_FRAMES, n_frames - first), y[samples])

    for iteration in range(n_iterations + 1):
        if iteration:
            overshoot = momentum if iteration > 1 else 0
            _lead(y, inverse_power, previous, np.float32(overshoot), leading)
        for first in range(0, n_frames, BLOCK_FRAMES):
            step(first, starts=not iteration)
    y *= inverse_power
    return y[:n_samples]
