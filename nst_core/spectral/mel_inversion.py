"""Invert a power mel to a waveform: band powers to bins, a phase, a few Griffin-Lim steps.

Used if no waveform carries the result (every start except ``carrier``). Numba is used
without ``fastmath``, with which two runs differ by 1e-6.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray
from nst_core.config import InversionConfig, MelConfig
from nst_core.errors import SignalError
from nst_core.spectral.bands import bands_of_bins
from nst_core.spectral.griffin_lim import fast_griffin_lim
from nst_core.spectral.mel import mel_bank
from nst_core.spectral.phase import phase_from_magnitude
from nst_core.spectral.stft import hann, overlap_add

_LANES = 64
"""Frames processed together, so that the innermost loop is contiguous."""
_TINY = np.float32(1e-20)


@lru_cache(maxsize=4)
def _layout(
    config: MelConfig,
) -> tuple[FloatArray, npt.NDArray[np.int32], npt.NDArray[np.int32], FloatArray]:
    """Return the bank, and where it is not zero: at most two bands see a bin.

    Returns
    -------
    weights : shape (n_mels, n_bins)
    band_bins : shape (n_mels, 2)
        First bin of a band, and the bin after its last.
    bin_bands : shape (n_bins,)
        Lower band of a bin.
    shares : shape (n_bins, 2)
        Weights of that band and of the next; their sum is 1, or 0 if no band sees the bin.
    """
    weights = mel_bank(config)
    is_seen, n_bins = weights > 0, weights.shape[1]
    ends = np.where(is_seen.any(axis=1), n_bins - is_seen[:, ::-1].argmax(axis=1), 0)
    band_bins = np.stack([is_seen.argmax(axis=1), ends], axis=1).astype(np.int32)
    bin_bands, shares = bands_of_bins(weights)
    return weights, band_bins, bin_bands, shares / np.maximum(shares.sum(axis=1)[:, None], _TINY)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _spread(  # type: ignore[no-untyped-def]  # compiled: numba infers
    ratio,  # noqa: ANN001
    bin_bands,  # noqa: ANN001
    shares,  # noqa: ANN001
    x,  # noqa: ANN001
) -> None:
    """Multiply the bins by the mean of their bands' ratios."""
    for k in range(len(x)):
        band, low, high = bin_bands[k], shares[k, 0], shares[k, 1]
        for j in range(_LANES):
            x[k, j] *= low * ratio[band, j] + high * ratio[band + 1, j]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _richardson_lucy(  # type: ignore[no-untyped-def]  # compiled: numba infers, loops are vectors
    M,  # noqa: ANN001
    weights,  # noqa: ANN001
    band_bins,  # noqa: ANN001
    bin_bands,  # noqa: ANN001
    shares,  # noqa: ANN001
    n_updates,  # noqa: ANN001
    S,  # noqa: ANN001
) -> None:
    n_mels, n_frames = M.shape
    n_bins = S.shape[1]
    goal = np.zeros((n_mels, _LANES), np.float32)
    ratio = np.zeros((n_mels + 1, _LANES), np.float32)
    estimate = np.empty(_LANES, np.float32)
    for start in range(0, n_frames, _LANES):
        n = min(_LANES, n_frames - start)
        x = np.ones((n_bins, _LANES), np.float32)
        goal[:, :n] = M[:, start : start + n]
        for _ in range(n_updates + 1):
            for b in range(n_mels):
                estimate[:] = _TINY
                for k in range(band_bins[b, 0], band_bins[b, 1]):
                    weight = weights[b, k]
                    for j in range(_LANES):
                        estimate[j] += weight * x[k, j]
                for j in range(_LANES):
                    ratio[b, j] = goal[b, j] / estimate[j]
            _spread(ratio, bin_bands, shares, x)
        for j in range(n):
            for k in range(n_bins):
                S[start + j, k] = np.sqrt(x[k, j])


def mel_to_magnitude(
    M: FloatArray, config: MelConfig, *, n_updates: int = InversionConfig.n_power_updates
) -> FloatArray:
    """Spread mel band powers over the STFT bins.

    Richardson-Lucy updates (Richardson 1972, Lucy 1974: multiplicative, KL divergence)
    on the sparse bank, starting from its normalised transpose. The updates are few on
    purpose: an exact non-negative least-squares fit reproduces the mel, but concentrates the
    power in single bins (log-spectral distance 17 dB).

    Parameters
    ----------
    M : shape (n_mels, n_frames), float32, >= 0
    config
        Mel settings of `M`.
    n_updates
        Number of multiplicative updates.

    Returns
    -------
    shape (n_frames, n_bins), float32, >= 0
        Magnitude. The first and the last bin, which no band sees, get half of their
        neighbour's magnitude.
    """
    S = np.empty((M.shape[1], config.n_fft // 2 + 1), np.float32)
    _richardson_lucy(np.ascontiguousarray(M), *_layout(config), n_updates, S)
    S[:, 0], S[:, -1] = 0.5 * S[:, 1], 0.5 * S[:, -2]
    return S


def _inverse_window_power(n_frames: int, n_samples: int, config: MelConfig) -> FloatArray:
    """Return the overlap-add normalisation, which is zero outside the signal."""
    power = overlap_add(
        np.broadcast_to(hann(config.n_fft) ** 2, (n_frames, config.n_fft)), config.hop_length
    )
    inverse: FloatArray = np.reciprocal(np.maximum(power, np.float32(1e-8)))
    half = config.n_fft // 2
    inverse[:half] = 0
    inverse[half + n_samples :] = 0
    return inverse


def mel_to_audio(
    M: FloatArray,
    mel: MelConfig,
    inversion: InversionConfig,
    *,
    n_samples: int | None = None,
    n_threads: int = 1,
) -> FloatArray:
    """Reconstruct a waveform from a power mel-spectrogram.

    The phase starts from phase-gradient integration, which is better than any number of
    iterations from a random phase. The work is done in blocks with a halo of ``overlap``
    frames per iteration, so that the result equals that for the whole track, bit for bit.
    Memory beyond the result does not grow with the length.

    Parameters
    ----------
    M : shape (n_mels, n_frames), float32, >= 0
    mel, inversion
        Settings of the analysis and of the synthesis.
    n_samples
        Length of the result; by default ``(n_frames - 1) * hop_length``. Samples that no frame
        covers are zero.
    n_threads
        Blocks processed at a time; does not change any bit.

    Returns
    -------
    shape (n_samples,), float32
        At the level of `M` within 0.1 dB; peaks may exceed full scale.

    Raises
    ------
    SignalError
        `M` has another shape or no frame, or contains NaN or infinity.
    """
    M = _checked_mel(M, mel)
    n_frames = M.shape[1]
    covered = (n_frames - 1) * mel.hop_length
    length = covered if n_samples is None else n_samples
    covered = min(length, covered + mel.n_fft // 2)
    if covered <= 0:
        return np.zeros(length, np.float32)
    overlap = mel.n_fft // mel.hop_length
    # A frame depends on overlap - 1 frames around it, and its pair on one more.
    halo = overlap * (inversion.n_iterations + 1)
    S = mel_to_magnitude(M, mel, n_updates=inversion.n_power_updates)
    phase = phase_from_magnitude(S, mel.hop_length)
    inverse_power = _inverse_window_power(n_frames, covered, mel)
    hop = mel.hop_length
    y = np.empty((n_frames + overlap - 1) * hop, np.float32)

    def invert_chunk(start: int) -> None:
        stop = min(start + inversion.chunk_frames, n_frames)
        # Frames are transformed in pairs, which are the same in all blocks.
        low, high = max(0, start - halo) // 2 * 2, min(n_frames, stop + halo + (stop + halo) % 2)
        chunk = fast_griffin_lim(
            S[low:high],
            phase[low:high],
            inverse_power[low * hop : (high + overlap - 1) * hop],
            hop,
            n_iterations=inversion.n_iterations,
            momentum=inversion.momentum,
        )
        end = n_frames + overlap - 1 if stop == n_frames else stop
        y[start * hop : end * hop] = chunk[(start - low) * hop : (end - low) * hop]

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(invert_chunk, range(0, n_frames, inversion.chunk_frames)))
    y = y[mel.n_fft // 2 : mel.n_fft // 2 + covered]
    return np.pad(y, (0, length - covered))


def _checked_mel(M: npt.ArrayLike, config: MelConfig) -> FloatArray:
    array = np.asarray(M, dtype=np.float32)
    if array.ndim != 2 or array.shape[0] != config.n_mels or not array.shape[1]:
        raise SignalError(
            f"the mel-spectrogram has shape {array.shape}; it must be ({config.n_mels}, n_frames) "
            "with n_frames >= 1"
        )
    if not np.isfinite(array).all():
        raise SignalError("the mel-spectrogram contains NaN or infinity", code="non_finite")
    return np.maximum(array, 0)
