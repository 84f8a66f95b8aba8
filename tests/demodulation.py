"""A second texture distance, for comparisons only: too slow for every pair."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, resample_poly, sosfreqz

from nst_core.arrays import FloatArray
from nst_core.metrics.texture import Statistics, progress, texture_distance
from nst_core.spectral.erb import erb_frequency, erb_rate

_FILTERS, _FILTER_EDGES_HZ = 20, (80.0, 8500.0)
_DECIMATION = 32
_DEMODULATION_S = (0.058, 0.116)
_CORRELATED_FILTERS = (1, 2, 3, 5, 8, 12)
_LAGS = (3, 7, 14, 28, 55, 110)
"""Of the autocorrelation, in decimated samples: 4 to 160 ms."""


@lru_cache(maxsize=8)
def _filter_responses(n: int, sr: int) -> FloatArray:
    """Return power responses of Butterworth filters on the ERB scale, (n_filters, n // 2 + 1)."""
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
    """Return dT2: dTM by another method, which resembles no part of the transfer.

    Butterworth filters even on the ERB scale, analytic envelopes over their own Gaussian
    means of 58 and 116 ms, and autocorrelations in place of a modulation spectrum. Takes
    seconds for a minute of sound: meant for comparisons, not for every pair.

    Parameters
    ----------
    y, music, ambience : shape (n_samples,), float32
        At the same level; the ambience should be a part that was not used.
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
        moved.append(progress(reached, start, goal, texture_distance(first, second)))
    return float(np.mean(moved))
