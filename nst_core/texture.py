"""How much of the ambience's grain a result has: two independent texture distances.

Both divide the slow envelope out first, so that what counts is the grain and not the
loudness that the music gives it. Neither is part of a loss.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import butter, resample_poly, sosfreqz, welch

from nst_core.bands import band_spectrogram
from nst_core.config import MelConfig
from nst_core.erb import erb_frequency, erb_rate
from nst_core.mel import mel_bank
from nst_core.stft import FloatArray

_N_FFT, _HOP, _N_BANDS = 512, 64, 32
_MODULATION_EDGES_HZ = np.geomspace(4, 172, 10)
_SEGMENT, _SEGMENTS = 256, 256
_CORRELATED_BANDS = (1, 2, 3, 5, 8, 11, 16, 21)

_FILTERS, _FILTER_EDGES_HZ = 20, (80.0, 8500.0)
_DECIMATION = 32
_DEMODULATION_S = (0.058, 0.116)
_CORRELATED_FILTERS = (1, 2, 3, 5, 8, 12)
_LAGS = (3, 7, 14, 28, 55, 110)
"""Of the autocorrelation, in decimated samples: 4 to 160 ms."""

Statistics = dict[str, FloatArray]


@lru_cache(maxsize=4)
def wide_bank(n_fft: int, n_bands: int, sr: int) -> FloatArray:
    """Mel bands wide enough to hold several bins, 60 Hz to 8 kHz, without area norm."""
    config = MelConfig(sr=sr, n_fft=n_fft, hop_length=n_fft // 4, n_mels=n_bands)
    bank = mel_bank(config, low_hz=60, high_hz=8000).weights
    return np.ascontiguousarray((bank / np.maximum(bank.max(axis=1, keepdims=True), 1e-9)).T)


def _band_envelopes(y: FloatArray, sr: int) -> FloatArray:
    """Band powers, shape (n_frames, n_bands)."""
    return band_spectrogram(y, _N_FFT, _HOP, wide_bank(_N_FFT, _N_BANDS, sr))


def texture_statistics(y: FloatArray, sr: int, *, music: FloatArray | None = None) -> Statistics:
    """Statistics of band envelopes whose slow part is divided out.

    After McDermott & Simoncelli (2011): variation, skewness, kurtosis, correlation of
    bands, modulation spectrum, on power envelopes ** 0.3.

    Parameters
    ----------
    y : shape (n_samples,), float32
    music : shape (n_samples,), float32
        If given, its own envelope, smoothed by 20 ms, is divided out first, and only
        frames are counted in which it sounds.
    """
    of_music = None if music is None else _band_envelopes(music, sr)
    return _grain_statistics(_band_envelopes(y, sr), sr, of_music)


def _grain_statistics(E: FloatArray, sr: int, of_music: FloatArray | None = None) -> Statistics:
    D = _grain(E, of_music)
    mean, deviation = D.mean(axis=0), D.std(axis=0) + 1e-9
    D -= mean
    modulation = _modulation(D, sr / _HOP)
    D /= deviation
    squares = D * D  # a power of 3 or 4 goes through logarithms
    together = D.T @ D / len(D)
    return {
        "variation": deviation / np.maximum(mean, 1e-9),
        "skewness": np.tanh((squares * D).mean(axis=0) / 2),
        "kurtosis": np.log((squares * squares).mean(axis=0) + 1e-9),
        "correlation": np.concatenate([np.diag(together, k) for k in _CORRELATED_BANDS]),
        "modulation": modulation,
    }


def _grain(E: FloatArray, of_music: FloatArray | None) -> FloatArray:
    """Compressed envelopes without their slow part, where the music sounds."""
    is_active = np.ones(len(E), bool)
    if of_music is not None:
        own = gaussian_filter1d(of_music, 7, axis=0, mode="nearest")
        total = own.sum(axis=1)
        is_active = total > 0.02 * np.quantile(total, 0.95)
        own += 3e-3 * own.mean(axis=0) + 1e-7
        E = np.divide(E, own, out=own)
    slow = uniform_filter1d(E, 87, axis=0)
    slow += 1e-3 * slow.mean(axis=0) + 1e-12
    D = np.divide(E, slow, out=slow)
    np.minimum(D, 50, out=D)
    np.power(D, np.float32(0.3), out=D)
    active: FloatArray = D[is_active] if is_active.sum() > 600 else D
    return active


def _modulation(D: FloatArray, rate: float) -> FloatArray:
    """Root shares of the modulation bands in Welch's spectrum, some segments at a time."""
    n = min(_SEGMENT, len(D))
    hop = n - n // 2
    n_segments = (len(D) - n) // hop + 1
    frequency, power = np.fft.rfftfreq(n, 1 / rate), np.zeros((n // 2 + 1, D.shape[1]))
    for first in range(0, n_segments, _SEGMENTS):
        count = min(_SEGMENTS, n_segments - first)
        rows = D[first * hop : (first + count - 1) * hop + n]
        power += count * welch(rows, fs=rate, nperseg=n, axis=0)[1]
    shares = [
        power[(frequency >= low) & (frequency < high)].sum(axis=0)
        for low, high in pairwise(_MODULATION_EDGES_HZ)
    ]
    modulation: FloatArray = np.sqrt(np.array(shares) / (power.sum(axis=0) + 1e-12)).ravel()
    return modulation


def texture_distance(a: Statistics, b: Statistics) -> float:
    """Root-mean-square difference per statistic over its mean size, averaged."""
    terms = [
        np.sqrt(np.mean((a[k] - b[k]) ** 2))
        / (0.5 * (np.abs(a[k]).mean() + np.abs(b[k]).mean()) + 1e-6)
        for k in a
    ]
    return float(np.mean(terms))


def texture_moved(y: FloatArray, music: FloatArray, ambience: FloatArray, sr: int) -> float:
    """dTM: how far the grain has come from the music's (0) to the ambience's (1).

    The floor is the distance between the halves of the ambience.
    """
    out, of_music, of_ambience = (_band_envelopes(x, sr) for x in (y, music, ambience))
    goal = _grain_statistics(of_ambience, sr)
    half = len(of_ambience) // 2
    floor = texture_distance(
        _grain_statistics(of_ambience[:half], sr), _grain_statistics(of_ambience[half:], sr)
    )
    return _moved(
        _grain_statistics(out, sr, of_music), _grain_statistics(of_music, sr, of_music), goal, floor
    )


@lru_cache(maxsize=8)
def _filter_responses(n: int, sr: int) -> FloatArray:
    """Power responses of Butterworth filters even on the ERB scale, (n_filters, n // 2 + 1)."""
    low, high = erb_rate(_FILTER_EDGES_HZ)
    edges = erb_frequency(np.linspace(low, high, _FILTERS + 1))
    frequency = np.fft.rfftfreq(n, 1 / sr)
    responses = [
        np.abs(sosfreqz(butter(2, pair, "band", fs=sr, output="sos"), frequency, fs=sr)[1]) ** 2
        for pair in pairwise(edges)
    ]
    return np.asarray(responses, np.float32)


def _filter_envelopes(y: FloatArray, sr: int) -> FloatArray:
    """Squared analytic envelopes of the filters, decimated, shape (n_filters, any)."""
    n = fft.next_fast_len(len(y))
    spectrum = fft.rfft(y, n)
    analytic = np.zeros(n, np.complex64)
    envelopes = []
    for response in _filter_responses(n, sr):
        analytic[: len(spectrum)] = 2 * spectrum * response
        band = np.abs(fft.ifft(analytic)[: len(y)]) ** 2
        envelopes.append(resample_poly(band, 1, _DECIMATION))
    floored: FloatArray = np.maximum(np.stack(envelopes), 1e-12)
    return floored


def _demodulated_statistics(E: FloatArray, deviation: float) -> Statistics:
    slow = gaussian_filter1d(E, deviation, axis=1) + 1e-9
    total = slow.sum(axis=0)
    D = np.sqrt(np.minimum(E / slow, 30))[:, total > 0.02 * np.quantile(total, 0.95)]
    mean, spread = D.mean(axis=1, keepdims=True), D.std(axis=1, keepdims=True) + 1e-9
    z = (D - mean) / spread
    squares = z * z
    together = z @ z.T / z.shape[1]
    return {
        "variation": spread / mean,
        "skewness": np.tanh((squares * z).mean(axis=1) / 2),
        "kurtosis": np.log((squares * squares).mean(axis=1) + 1e-9),
        "correlation": np.concatenate([np.diag(together, k) for k in _CORRELATED_FILTERS]),
        "autocorrelation": np.stack([(z[:, :-k] * z[:, k:]).mean(axis=1) for k in _LAGS]),
    }


def demodulated_texture_moved(
    y: FloatArray, music: FloatArray, ambience: FloatArray, sr: int
) -> float:
    """dT2: as dTM by another route, which no part of the transfer resembles.

    Butterworth filters even on the ERB scale, analytic envelopes over their own Gaussian
    means of 58 and 116 ms, and autocorrelations in place of a modulation spectrum. Takes
    seconds for a minute of sound: meant for comparisons, not for every pair.

    Parameters
    ----------
    y, music, ambience : shape (n_samples,), float32
        At one level; the ambience best a stretch that was not used.
    sr
        Hz.
    """
    out, of_music, of_ambience = (_filter_envelopes(x, sr) for x in (y, music, ambience))
    half = of_ambience.shape[1] // 2
    moved = []
    for seconds in _DEMODULATION_S:
        deviation = seconds * sr / _DECIMATION
        reached, start, goal, first, second = (
            _demodulated_statistics(E, deviation)
            for E in (out, of_music, of_ambience, of_ambience[:, :half], of_ambience[:, half:])
        )
        moved.append(_moved(reached, start, goal, texture_distance(first, second)))
    return float(np.mean(moved))


def _moved(reached: Statistics, start: Statistics, goal: Statistics, floor: float) -> float:
    whole = texture_distance(start, goal)
    # Where the music is as far from the goal as one half of the ambience from the other,
    # there is no way to go, and a ratio of small numbers would say anything.
    return (whole - texture_distance(reached, goal)) / max(whole - floor, 0.25 * whole, 1e-3)
