"""Short-time Fourier transform: centred, periodic Hann, float32, time-major.

The layout ``(n_frames, n_bins)`` keeps a frame contiguous, as the transforms, the phase
retrieval and TensorFlow need it; `nst_core.spectral.mel` transposes once, at the public
boundary. `scipy.signal.ShortTimeFFT` returns complex128 with the frequency first, which
needs twice the memory and a copy for each use.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy import fft

from nst_core.arrays import ComplexArray, FloatArray
from nst_core.streaming import block_sizes

_TINY = np.float32(1e-8)
_ALL = slice(None)


@lru_cache(maxsize=16)
def hann(n_fft: int) -> FloatArray:
    """Return a periodic Hann window, shape (n_fft,), float32, read-only."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    window.setflags(write=False)
    return window


def frame_count(n_samples: int, hop_length: int) -> int:
    """Return the number of frames of a centred STFT: one per hop, the first on sample 0."""
    return 1 + n_samples // hop_length


def padded_frames(y: FloatArray, n_fft: int, hop_length: int) -> FloatArray:
    """Return overlapping views of the zero-padded signal, shape (n_frames, n_fft), read-only."""
    padded = np.pad(y, n_fft // 2)
    return np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]


def stft(y: FloatArray, n_fft: int, hop_length: int) -> ComplexArray:
    """Transform a waveform.

    Parameters
    ----------
    y : shape (n_samples,), float32
    n_fft, hop_length
        Samples.

    Returns
    -------
    shape (n_frames, n_fft // 2 + 1), complex64
        Equal to the transpose of ``librosa.stft(y, pad_mode="constant")``.
    """
    spectrum: ComplexArray = fft.rfft(
        padded_frames(y, n_fft, hop_length) * hann(n_fft), axis=1, overwrite_x=True
    )
    return spectrum


def stft_blocks(y: FloatArray, n_fft: int, hop_length: int) -> Iterator[ComplexArray]:
    """Yield `stft` in blocks of frames, in at most a few megabytes."""
    frames = padded_frames(y, n_fft, hop_length)
    n_block = max(1, block_sizes.SIZES.elements // n_fft)
    for start in range(0, len(frames), n_block):
        block = frames[start : start + n_block] * hann(n_fft)
        yield fft.rfft(block, axis=1, overwrite_x=True)


def power_spectrogram(
    y: FloatArray, n_fft: int, hop_length: int, *, bins: slice = _ALL
) -> FloatArray:
    """Return squared magnitudes of some bins, shape (n_frames, n_bins), float32."""
    blocks = stft_blocks(y, n_fft, hop_length)
    return np.concatenate([squared_magnitude(D[:, bins]) for D in blocks])


@lru_cache(maxsize=16)
def _window_power(n_fft: int, hop_length: int, n_frames: int) -> FloatArray:
    power = overlap_add(np.broadcast_to(hann(n_fft) ** 2, (n_frames, n_fft)), hop_length)
    power.setflags(write=False)
    return power


def overlap_add(frames: FloatArray, hop_length: int) -> FloatArray:
    """Sum overlapping frames; ``n_fft`` must be a multiple of the hop."""
    n_frames, n_fft = frames.shape
    overlap = n_fft // hop_length
    blocks = np.zeros((n_frames + overlap - 1, hop_length), np.float32)
    for part in range(overlap):
        blocks[part : part + n_frames] += frames[:, part * hop_length : (part + 1) * hop_length]
    return blocks.ravel()


def istft(D: ComplexArray, hop_length: int, n_samples: int) -> FloatArray:
    """Invert `stft` by weighted overlap-add (Griffin & Lim 1984, eq. 6).

    Parameters
    ----------
    D : shape (n_frames, n_bins), complex64
        Not modified.
    hop_length
        Must divide ``n_fft``.
    n_samples
        Length of the result; samples that no frame covers are zero.

    Returns
    -------
    shape (n_samples,), float32
    """
    n_fft = 2 * (D.shape[1] - 1)
    frames = fft.irfft(D, n=n_fft, axis=1)
    frames *= hann(n_fft)
    return normalise_overlap(overlap_add(frames, hop_length), n_fft, hop_length, n_samples)


def normalise_overlap(y: FloatArray, n_fft: int, hop_length: int, n_samples: int) -> FloatArray:
    """Divide overlapped, twice windowed frames by the power of the windows, and cut to length."""
    n_frames = len(y) // hop_length - n_fft // hop_length + 1
    y /= np.maximum(_window_power(n_fft, hop_length, n_frames), _TINY)
    y = y[n_fft // 2 : n_fft // 2 + n_samples]
    return np.pad(y, (0, n_samples - len(y)))


def squared_magnitude(D: ComplexArray) -> FloatArray:
    """Return squared magnitudes, float32."""
    squared: FloatArray = D.real**2
    squared += D.imag**2
    return squared
