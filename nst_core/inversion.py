"""Power mel to waveform: band powers to bins, a phase, a few Griffin-Lim steps.

Used where no waveform carries the result (every start but ``carrier``). Numba
without ``fastmath``: with it, two runs differ by 1e-6.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from nst_core.config import InversionConfig, MelConfig
from nst_core.errors import SignalError
from nst_core.mel import mel_bank
from nst_core.phase import phase_from_magnitude
from nst_core.stft import ComplexArray, FloatArray, hann, overlap_add

_LANES = 64
"""Frames worked on together, so that the innermost loop is contiguous."""
_SEEN = 1e-9


@lru_cache(maxsize=4)
def _bank_by_band_and_bin(
    config: MelConfig,
) -> tuple[npt.NDArray[np.int32], FloatArray, npt.NDArray[np.int32], FloatArray]:
    """CSR arrays of the bank's rows (bands), then of its columns (bins), index pairs packed."""
    weights = mel_bank(config).weights
    by_band, by_bin = sparse.csr_array(weights), sparse.csr_array(weights.T)
    return (
        np.concatenate([by_band.indptr, by_band.indices]).astype(np.int32),
        by_band.data,
        np.concatenate([by_bin.indptr, by_bin.indices]).astype(np.int32),
        by_bin.data,
    )


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _multiply(indptr, indices, data, x, out) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # compiled: numba infers
    """``out = A @ x`` for a CSR matrix and `_LANES` columns."""
    for row in range(len(indptr) - 1):
        for j in range(_LANES):
            out[row, j] = 0
        for p in range(indptr[row], indptr[row + 1]):
            weight, column = data[p], indices[p]
            for j in range(_LANES):
                out[row, j] += weight * x[column, j]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _richardson_lucy(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # compiled: numba infers, loops are vectors
    M,  # noqa: ANN001
    band_index,  # noqa: ANN001
    band_data,  # noqa: ANN001
    bin_index,  # noqa: ANN001
    bin_data,  # noqa: ANN001
    n_updates,  # noqa: ANN001
    power,  # noqa: ANN001
) -> None:
    n_mels, n_frames = M.shape
    n_bins = power.shape[1]
    band_ptr, band_columns = band_index[: n_mels + 1], band_index[n_mels + 1 :]
    bin_ptr, bin_columns = bin_index[: n_bins + 1], bin_index[n_bins + 1 :]
    band_sums = np.zeros(n_mels, np.float32)
    for b in range(n_mels):
        band_sums[b] = band_data[band_ptr[b] : band_ptr[b + 1]].sum()
    inverse_bin_sums = np.ones(n_bins, np.float32)
    for k in range(n_bins):
        total = bin_data[bin_ptr[k] : bin_ptr[k + 1]].sum()
        if total > _SEEN:
            inverse_bin_sums[k] = np.float32(1) / total
    x = np.empty((n_bins, _LANES), np.float32)
    ratio = np.zeros((n_mels, _LANES), np.float32)
    estimate = np.empty((n_mels, _LANES), np.float32)
    back = np.empty((n_bins, _LANES), np.float32)
    for start in range(0, n_frames, _LANES):
        n = min(_LANES, n_frames - start)
        for b in range(n_mels):
            scale = np.float32(0) if band_sums[b] == 0 else np.float32(1) / band_sums[b]
            for j in range(n):
                ratio[b, j] = M[b, start + j] * scale
        _multiply(bin_ptr, bin_columns, bin_data, ratio, back)
        for k in range(n_bins):
            for j in range(_LANES):
                x[k, j] = back[k, j] * inverse_bin_sums[k]
        for _ in range(n_updates):
            _multiply(band_ptr, band_columns, band_data, x, estimate)
            for b in range(n_mels):
                for j in range(n):
                    ratio[b, j] = M[b, start + j] / (estimate[b, j] + np.float32(1e-20))
            _multiply(bin_ptr, bin_columns, bin_data, ratio, back)
            for k in range(n_bins):
                for j in range(_LANES):
                    x[k, j] *= back[k, j] * inverse_bin_sums[k]
        for j in range(n):
            for k in range(n_bins):
                power[start + j, k] = x[k, j]


def mel_to_magnitude(
    M: FloatArray, config: MelConfig, *, n_updates: int = InversionConfig.n_power_updates
) -> FloatArray:
    """Spread mel band powers over the STFT bins.

    Richardson-Lucy updates (Richardson 1972, Lucy 1974: multiplicative, KL divergence)
    on the sparse bank, started from its normalised transpose. Few updates on purpose:
    an exact non-negative least-squares fit reproduces the mel and puts the power into
    single bins (log-spectral distance 17 dB).

    Parameters
    ----------
    M : shape (n_mels, n_frames), float32, >= 0
    config
        The bank `M` was made with.
    n_updates
        Multiplicative updates.

    Returns
    -------
    shape (n_frames, n_bins), float32, >= 0
        Magnitude. The first and the last bin, which no band sees, get half of their
        neighbour's.
    """
    power = np.empty((M.shape[1], config.n_fft // 2 + 1), np.float32)
    _richardson_lucy(np.ascontiguousarray(M), *_bank_by_band_and_bin(config), n_updates, power)
    S = np.sqrt(power, out=power)
    S[:, 0], S[:, -1] = 0.5 * S[:, 1], 0.5 * S[:, -2]
    return S


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _project(D: ComplexArray, S: FloatArray) -> None:
    """Give `D` the magnitudes `S`, but for the two bins that no mel band sees."""
    for t in range(D.shape[0]):
        for k in range(1, D.shape[1] - 1):
            real, imag = D[t, k].real, D[t, k].imag
            gain = S[t, k] / np.sqrt(real * real + imag * imag + np.float32(1e-30))
            D[t, k] = complex(real * gain, imag * gain)


def _inverse_window_power(n_frames: int, n_samples: int, config: MelConfig) -> FloatArray:
    """Overlap-add normalisation that is zero outside the signal."""
    power = overlap_add(
        np.broadcast_to(hann(config.n_fft) ** 2, (n_frames, config.n_fft)), config.hop_length
    )
    inverse: FloatArray = np.reciprocal(np.maximum(power, np.float32(1e-8)))
    half = config.n_fft // 2
    inverse[:half] = 0
    inverse[half + n_samples :] = 0
    return inverse


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _lead(  # type: ignore[no-untyped-def]  # compiled: numba infers
    frames,  # noqa: ANN001
    hop,  # noqa: ANN001
    window,  # noqa: ANN001
    inverse_power,  # noqa: ANN001
    momentum,  # noqa: ANN001
    previous,  # noqa: ANN001
    leading,  # noqa: ANN001
) -> None:
    """Overlap-add windowed frames, and carry on in the direction of the last step.

    `previous` holds the last waveform and gets this one. One pass where array operations
    take five.
    """
    n_frames, n_fft = frames.shape
    overlap = n_fft // hop
    for block in range(n_frames + overlap - 1):
        at = block * hop
        y = leading[at : at + hop]
        y[:] = 0
        for part in range(overlap):
            t = block - part
            if 0 <= t < n_frames:
                frame = frames[t, part * hop : (part + 1) * hop]
                weights = window[part * hop : (part + 1) * hop]
                for i in range(hop):
                    y[i] += frame[i] * weights[i]
        for i in range(hop):
            new = y[i] * inverse_power[at + i]
            y[i] = new + momentum * (new - previous[at + i])
            previous[at + i] = new


def _fast_griffin_lim(
    S: FloatArray,
    phase: FloatArray,
    inverse_power: FloatArray,
    config: MelConfig,
    inversion: InversionConfig,
    edges: tuple[bool, bool],
) -> FloatArray:
    """Iterate on one chunk; returns its padded waveform, ``(n_frames + overlap - 1) hops``.

    Perraudin, Balazs, Søndergaard 2013 add the momentum to the STFT; transform and
    inverse are linear, so we add it to the waveform, four times smaller. Frames that
    can no longer reach the chunk are dropped as the steps go, but not at `edges`, where
    the track begins or ends.
    """
    window, hop = hann(config.n_fft), config.hop_length
    spoilt = config.n_fft // hop - 1
    D = np.empty(S.shape, np.complex64)
    D.real, D.imag = S * np.cos(phase), S * np.sin(phase)
    low, high = 0, len(S)
    previous, leading = np.zeros_like(inverse_power), np.empty_like(inverse_power)
    for iteration in range(inversion.n_iterations + 1):
        frames = fft.irfft(D, n=config.n_fft, axis=1, overwrite_x=True)
        part = slice(low * hop, (high + spoilt) * hop)
        momentum = np.float32(inversion.momentum if iteration else 0)
        _lead(frames, hop, window, inverse_power[part], momentum, previous[part], leading[part])
        if iteration == inversion.n_iterations:
            break
        low, high = low + spoilt * (not edges[0]), high - spoilt * (not edges[1])
        views = np.lib.stride_tricks.sliding_window_view(leading, config.n_fft)
        D = fft.rfft(views[low * hop : high * hop : hop] * window, axis=1, overwrite_x=True)
        _project(D, S[low:high])
    return previous


def mel_to_audio(
    M: FloatArray,
    mel: MelConfig,
    inversion: InversionConfig,
    *,
    n_samples: int | None = None,
    n_threads: int = 1,
) -> FloatArray:
    """Reconstruct a waveform from a power mel-spectrogram.

    The phase starts from phase-gradient integration, which is worth more than any
    number of iterations from a random phase. Work goes in chunks whose halo of
    ``overlap - 1`` frames an iteration makes them equal to the whole track, bit for
    bit; memory beyond the result does not grow with length.

    Parameters
    ----------
    M : shape (n_mels, n_frames), float32, >= 0
    mel, inversion
        Shape of the analysis, effort of the synthesis.
    n_samples
        Length of the result; ``(n_frames - 1) * hop_length`` by default, zeros beyond
        what the frames cover.
    n_threads
        Chunks worked on at a time; changes no bit.

    Returns
    -------
    shape (n_samples,), float32
        At the level of `M` within 0.1 dB; peaks may exceed full scale.

    Raises
    ------
    SignalError
        If `M` has another shape, no frame, NaN or infinity.
    """
    M = _checked_mel(M, mel)
    n_frames = M.shape[1]
    covered = (n_frames - 1) * mel.hop_length
    length = covered if n_samples is None else n_samples
    covered = min(length, covered + mel.n_fft // 2)
    if covered <= 0:
        return np.zeros(length, np.float32)
    overlap = mel.n_fft // mel.hop_length
    halo = (overlap - 1) * (inversion.n_iterations + 1)
    S = mel_to_magnitude(M, mel, n_updates=inversion.n_power_updates)
    phase = phase_from_magnitude(S, mel.hop_length)
    inverse_power = _inverse_window_power(n_frames, covered, mel)
    hop = mel.hop_length
    y = np.empty((n_frames + overlap - 1) * hop, np.float32)

    def invert_chunk(start: int) -> None:
        stop = min(start + inversion.chunk_frames, n_frames)
        low, high = max(0, start - halo), min(n_frames, stop + halo)
        scale = inverse_power[low * hop : (high + overlap - 1) * hop]
        edges = low == 0, high == n_frames
        chunk = _fast_griffin_lim(S[low:high], phase[low:high], scale, mel, inversion, edges)
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
            f"a mel-spectrogram has shape ({config.n_mels}, n_frames >= 1); got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise SignalError("the mel-spectrogram holds NaN or infinity", code="non_finite")
    return np.maximum(array, 0)
