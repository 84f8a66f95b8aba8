"""Waveform to power mel-spectrogram, and the framing arithmetic that goes with it.

At the project's figures (22,050 Hz, 1024, 384 bands) 25 filters are narrower than
the distance between two bins and see nothing: their rows are zero in every
spectrogram. `MelBank.empty` names them. No gradient reaches them, so the optimisation leaves
them at zero.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from nst_core.config import MelConfig
from nst_core.errors import SignalError
from nst_core.spool import Sliceable, blocks
from nst_core.stft import FloatArray, frame_count, hann, padded_frames

if TYPE_CHECKING:
    import tensorflow as tf

COMPRESSION = 1e4
"""log1p(1e4 M) of a signal at `LEVEL` suits a network, and is invertible, unlike decibels."""

_BLOCK_FRAMES = 4096
"""Frames transformed at a time: bounds memory, and changes no result."""


@dataclass(frozen=True)
class MelBank:
    """Slaney-style triangular filters.

    Attributes
    ----------
    weights : shape (n_mels, n_bins), float32
        Area-normalised, so that white noise has a flat mel spectrum.
    empty : shape (n_mels,), bool
        Filters that see no bin.
    """

    weights: FloatArray
    empty: npt.NDArray[np.bool_]


def _hz_to_mel(frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Linear to 1 kHz, logarithmic above (Slaney, Auditory Toolbox, 1998)."""
    linear = frequency * 3 / 200
    return np.where(
        frequency < 1000, linear, 15 + np.log(np.maximum(frequency, 1) / 1000) * 27 / np.log(6.4)
    )


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


@lru_cache(maxsize=8)
def mel_bank(config: MelConfig, *, low_hz: float = 0.0, high_hz: float | None = None) -> MelBank:
    """Build the filter bank, equal to ``librosa.filters.mel(..., htk=False)``.

    Parameters
    ----------
    config
        Sizes and rate.
    low_hz, high_hz
        Edges of the lowest and the highest band; by default 0 and ``sr / 2``.
    """
    bins = np.arange(config.n_fft // 2 + 1) * config.sr / config.n_fft
    ends = _hz_to_mel(np.array([low_hz, config.sr / 2 if high_hz is None else high_hz]))
    edges = _mel_to_hz(np.linspace(ends[0], ends[1], config.n_mels + 2))
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    weights *= (2 / (edges[2:] - edges[:-2]))[:, None]
    weights = weights.astype(np.float32)
    empty = np.logical_not(np.count_nonzero(weights, axis=1))
    weights.setflags(write=False)
    empty.setflags(write=False)
    return MelBank(weights, empty)


@lru_cache(maxsize=8)
def _sparse_bank(config: MelConfig) -> sparse.csr_array:
    return sparse.csr_array(mel_bank(config).weights)


def n_frames(n_samples: int, config: MelConfig) -> int:
    """Frames of a signal: 259 for 3 s (66,150 samples) at the defaults."""
    return frame_count(n_samples, config.hop_length)


def power_mel(y: FloatArray, config: MelConfig) -> FloatArray:
    """Power mel-spectrogram.

    Parameters
    ----------
    y : shape (n_samples,), float32
        Full scale is 1; at least one sample.

    Returns
    -------
    shape (n_mels, n_frames), float32, >= 0
        ``bank @ |STFT|**2`` with centred, zero-padded frames and a periodic Hann
        window: ``librosa.feature.melspectrogram(power=2, pad_mode="constant")``.

    Raises
    ------
    SignalError
        If `y` is not one-dimensional, is empty or holds NaN or infinity.
    """
    y = check_signal(y)
    frames = padded_frames(y, config.n_fft, config.hop_length)
    bank = _sparse_bank(config)
    M = np.empty((config.n_mels, len(frames)), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = fft.rfft(frames[start : start + _BLOCK_FRAMES] * hann(config.n_fft), axis=1)
        M[:, start : start + len(block)] = bank @ (block.real**2 + block.imag**2).T
    return M


def power_mel_of_frames(y: Sliceable, frames: slice, config: MelConfig) -> FloatArray:
    """Some frames of `power_mel`, bit for bit, from the samples that they see."""
    margin = config.n_fft // config.hop_length
    low = max(0, frames.start - margin)
    M = power_mel(y[low * config.hop_length : (frames.stop + margin) * config.hop_length], config)
    return M[:, frames.start - low : frames.stop - low]


@overload
def check_signal(y: FloatArray, *, name: str = ...) -> FloatArray: ...
@overload
def check_signal(y: Sliceable, *, name: str = ...) -> Sliceable: ...
def check_signal(y: Sliceable, *, name: str = "the waveform") -> Sliceable:
    """Say why `name` cannot be processed, else return `y`; of an array, its float32.

    Raises
    ------
    SignalError
        If `y` is not one-dimensional, is empty or holds NaN or infinity.
    """
    if isinstance(y, np.ndarray):
        y = y.astype(np.float32, copy=False)
    if len(y.shape) != 1 or not len(y):
        raise SignalError(f"{name} has shape {y.shape}; (n_samples,) with n_samples >= 1 is needed")
    n_bad = sum(np.count_nonzero(~np.isfinite(block)) for block in blocks(y))
    if n_bad:
        raise SignalError(
            f"{name} holds {n_bad} NaN or infinite samples of {len(y)}; repair or re-encode the "
            "recording",
            code="non_finite",
        )
    return y


def compress(M: FloatArray) -> FloatArray:
    """Power, ``(n_mels, n_frames)``, to log1p in TensorFlow's axes, ``(1, n_frames, n_mels)``."""
    u: FloatArray = np.multiply(M.T, np.float32(COMPRESSION), order="C")
    u += 1  # NumPy's log is a vector loop and its log1p is not; they differ by 6e-8 at most
    return np.log(u, out=u)[None]


def expand(u: FloatArray) -> FloatArray:
    """Invert `compress`."""
    M: FloatArray = np.exp(u[0].T, order="C")
    M -= 1
    M *= np.float32(1 / COMPRESSION)
    return M


def power_mel_tf(y: "tf.Tensor", config: MelConfig) -> "tf.Tensor":
    """`power_mel` in TensorFlow, for a batch.

    Parameters
    ----------
    y : shape (batch, n_samples), float32

    Returns
    -------
    shape (batch, n_frames, n_mels), float32
        TensorFlow's axis order, agreeing with `power_mel` within 1e-4 relative.
    """
    import tensorflow as tf  # noqa: PLC0415  # seconds to import, and NumPy users do without

    half = config.n_fft // 2
    frames = tf.signal.frame(
        tf.pad(y, [[0, 0], [half, half]]), config.n_fft, config.hop_length, axis=1
    )
    D = tf.signal.rfft(frames * hann(config.n_fft))
    return tf.linalg.matmul(tf.math.square(tf.abs(D)), mel_bank(config).weights, transpose_b=True)
