"""Power mel-spectrogram of a waveform, and its framing arithmetic.

With the project's settings (22,050 Hz, 1024, 384 bands), 25 filters are narrower than the
distance between two bins and see nothing: their rows are zero in every spectrogram. They have
no gradient, so the optimisation leaves them at zero.
"""

import warnings
from functools import lru_cache
from threading import Lock
from typing import overload

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.config import MelConfig
from nst_core.errors import SignalError
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.stft import frame_count
from nst_core.streaming.arrays import Sliceable, blocks

COMPRESSION = 1e4
"""log1p(1e4 M) of a signal at `LEVEL` suits a network and, unlike decibels, is invertible at 0."""
_FILTERS_OF_WARNINGS = Lock()


@lru_cache(maxsize=8)
def mel_bank(config: MelConfig, *, low_hz: float = 0.0, high_hz: float | None = None) -> FloatArray:
    """Return librosa's filter bank with Slaney's scale and norm, so that white noise is flat.

    Parameters
    ----------
    config
        Sizes and sample rate.
    low_hz, high_hz
        Edges of the lowest and the highest band; by default 0 and ``sr / 2``.

    Returns
    -------
    shape (n_mels, n_bins), float32, read-only
        Triangles that tile.
    """
    # Import it here, because it takes a second, and a render may take a twentieth of that.
    from librosa import filters  # noqa: PLC0415

    # The warning is expected, see the module's docstring. `catch_warnings` is not thread-safe.
    with _FILTERS_OF_WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters", UserWarning)
        weights: FloatArray = filters.mel(
            sr=config.sr,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=low_hz,
            fmax=high_hz,
            htk=False,
            norm="slaney",
        )
    weights.setflags(write=False)
    return weights


def n_frames(n_samples: int, config: MelConfig) -> int:
    """Return the number of frames of a signal: 259 for 3 s (66,150 samples) by default."""
    return frame_count(n_samples, config.hop_length)


def power_mel(y: FloatArray, config: MelConfig) -> FloatArray:
    """Return the power mel-spectrogram of a waveform.

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
        `y` is not one-dimensional, is empty, or contains NaN or infinity.
    """
    y = check_signal(y)
    M = band_spectrogram(y, config.n_fft, config.hop_length, mel_bank(config))
    return np.ascontiguousarray(M.T)


def power_mel_of_frames(y: Sliceable, frames: slice, config: MelConfig) -> FloatArray:
    """Return some frames of `power_mel`, bit for bit, from only the samples that they need."""
    margin = config.n_fft // config.hop_length
    low = max(0, frames.start - margin)
    low -= low % 2  # frames are transformed in pairs
    M = power_mel(y[low * config.hop_length : (frames.stop + margin) * config.hop_length], config)
    return M[:, frames.start - low : frames.stop - low]


@overload
def check_signal(y: FloatArray, *, name: str = ...) -> FloatArray: ...
@overload
def check_signal(y: Sliceable, *, name: str = ...) -> Sliceable: ...
def check_signal(y: Sliceable, *, name: str = "the waveform") -> Sliceable:
    """Return `y` (an array as float32), or raise an error that calls it `name`.

    Raises
    ------
    SignalError
        `y` is not one-dimensional, is empty, or contains NaN or infinity.
    """
    if isinstance(y, np.ndarray):
        y = y.astype(np.float32, copy=False)
    if len(y.shape) != 1 or not len(y):
        message = f"{name} has shape {y.shape}; it must be (n_samples,) with n_samples >= 1"
        raise SignalError(message)
    n_bad = sum(np.count_nonzero(~np.isfinite(block)) for block in blocks(y))
    if n_bad:
        raise SignalError(
            f"{name} contains {n_bad} NaN or infinite samples of {len(y)}; repair or re-encode "
            "the recording",
            code="non_finite",
        )
    return y


def compress(M: FloatArray) -> FloatArray:
    """Return log1p of power; from (n_mels, n_frames) to TensorFlow's (1, n_frames, n_mels)."""
    u: FloatArray = np.multiply(M.T, np.float32(COMPRESSION), order="C")
    u += 1  # unlike log1p, NumPy's log is vectorised; they differ by at most 6e-8
    return np.log(u, out=u)[None]


def expand(u: FloatArray) -> FloatArray:
    """Invert `compress`."""
    M: FloatArray = np.exp(u[0].T, order="C")
    M -= 1
    M *= np.float32(1 / COMPRESSION)
    return M
