"""Two gates that tell a transfer from a mix, even if the mix scores well otherwise."""

import numpy as np
from scipy.ndimage import uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.metrics.content import correlation
from nst_core.metrics.wide_bank import wide_bank
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.stft import power_spectrogram


def carrier_deviation(y: FloatArray, music: FloatArray, sr: int) -> float:
    """Return how little of the music's own signal is left in its loudest bins, in dB.

    In each bin of 80 Hz..5 kHz that is often among the music's 5 % loudest, the mean
    absolute deviation of ``10 log10(result / music)`` from its median.
    """
    n_fft, hop = 2048, 512
    low, high = (int(hz * n_fft / sr) for hz in (80, 5000))
    bins = slice(low + 1, high + 1)
    M, Y = (power_spectrogram(x, n_fft, hop, bins=bins) for x in (music, y))
    is_loud = np.quantile(M, 0.95) <= M
    M += np.float32(1e-9)
    Y += np.float32(1e-9)
    gain_db = np.log10(np.divide(Y, M, out=Y), out=Y)
    gain_db *= 10
    total, count = 0.0, 0
    for k in range(M.shape[1]):
        gains = gain_db[is_loud[:, k], k]
        if len(gains) >= 8:
            total += float(np.abs(gains - np.median(gains)).sum())
            count += len(gains)
    return total / count if count else 0.0


def follow(y: FloatArray, music: FloatArray, sr: int) -> float:
    """Return fB: how far the added sound rises and falls with the music, per band.

    The music's share is estimated by the gain that is reached in 90 % of the frames; the log of
    the rest is correlated with the music's log envelope.
    """
    n_fft, hop = 1024, 256
    bank = wide_bank(n_fft, 32, sr)
    M, Y = (band_spectrogram(x, n_fft, hop, bank) for x in (music, y))
    explained = np.quantile(Y / (M + 1e-3 * M.mean(axis=0) + 1e-9), 0.1, axis=0)
    rest = np.maximum(Y - explained * M, 0)
    a = uniform_filter1d(np.log(rest + 1e-9 + 1e-3 * Y.mean(axis=0)), 9, axis=0)
    b = uniform_filter1d(np.log(M + 1e-9 + 1e-3 * M.mean(axis=0)), 9, axis=0)
    return float(np.mean([correlation(a[:, k], b[:, k]) for k in range(len(bank))]))
