"""Texture metric: how much of the ambience's grain a result has.

The slow envelope is divided out first, so the grain counts and not the loudness that the
music gives it. No loss uses this metric.
"""

from itertools import pairwise

import numpy as np
from scipy import fft
from scipy.ndimage import convolve1d, uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.metrics.wide_bank import wide_bank
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.stft import hann

_N_FFT, _HOP, _N_BANDS = 512, 64, 32
_MODULATION_EDGES_HZ = np.geomspace(4, 172, 10)
_BEFORE_S, _AFTER_S = 0.005, 0.020
"""Half widths of the music's envelope: it may fade like a room, but hardly rise before an attack,
or a result that attacks as sharply as the music would seem to have a hole and then a peak."""
_SEGMENT, _SEGMENTS = 256, 256
_STILL = 3e-8
"""Power of the rounding of a grain that does not move."""
_CORRELATED_BANDS = (1, 2, 3, 5, 8, 11, 16, 21)

Statistics = dict[str, FloatArray]


def _band_envelopes(y: FloatArray, sr: int) -> FloatArray:
    """Return band powers, shape (n_frames, n_bands)."""
    return band_spectrogram(y, _N_FFT, _HOP, wide_bank(_N_FFT, _N_BANDS, sr))


def _grain_statistics(
    envelope: FloatArray, sr: int, of_music: FloatArray | None = None
) -> Statistics:
    """Return statistics of band envelopes whose slow part is divided out.

    After McDermott & Simoncelli (2011): variation, skewness, kurtosis, correlation of
    bands, modulation spectrum, on power envelopes ** 0.3.

    Parameters
    ----------
    envelope : shape (n_frames, n_bands), float32
    of_music : shape of ``envelope``
        If given, the music's own envelope, smoothed by `_attack_keeping`, is divided out first,
        and only the frames in which the music sounds are counted.
    """
    grain = _grain(envelope, sr, of_music)
    mean, deviation = grain.mean(axis=0), grain.std(axis=0) + 1e-9
    grain -= mean
    modulation = _modulation(grain, sr / _HOP)
    grain /= deviation
    squares = grain * grain  # NumPy computes powers of 3 and 4 through logarithms
    together = grain.T @ grain / len(grain)
    return {
        "variation": deviation / np.maximum(mean, 1e-9),
        "skewness": np.tanh((squares * grain).mean(axis=0) / 2),
        "kurtosis": np.log((squares * squares).mean(axis=0) + 1e-9),
        "correlation": np.concatenate([np.diag(together, k) for k in _CORRELATED_BANDS]),
        "modulation": modulation,
    }


def _attack_keeping(envelope: FloatArray, sr: int) -> FloatArray:
    """Smooth along time by a Gaussian that is narrow before an event and wide after it."""
    before, after = (seconds * sr / _HOP for seconds in (_BEFORE_S, _AFTER_S))
    lag = np.arange(-round(4 * after), round(4 * after) + 1)
    kernel = np.exp(-0.5 * np.square(lag / np.where(lag < 0, before, after)))
    smooth: FloatArray = convolve1d(envelope, kernel / kernel.sum(), axis=0, mode="nearest")
    return smooth


def _grain(envelope: FloatArray, sr: int, of_music: FloatArray | None) -> FloatArray:
    """Return compressed envelopes without their slow part, where the music sounds."""
    is_active = np.ones(len(envelope), bool)
    if of_music is not None:
        own = _attack_keeping(of_music, sr)
        total = own.sum(axis=1)
        is_active = total > 0.02 * np.quantile(total, 0.95)
        own += 3e-3 * own.mean(axis=0) + 1e-7
        envelope = np.divide(envelope, own, out=own)
    slow = uniform_filter1d(envelope, 87, axis=0)
    slow += 1e-3 * slow.mean(axis=0) + 1e-12
    grain = np.divide(envelope, slow, out=slow)
    np.minimum(grain, 50, out=grain)
    np.power(grain, np.float32(0.3), out=grain)
    active: FloatArray = grain[is_active] if is_active.sum() > 600 else grain
    return active


def _modulation(grain: FloatArray, rate: float) -> FloatArray:
    """Return roots of the modulation bands' shares of Welch's spectrum, some frames at a time."""
    n = min(_SEGMENT, len(grain))
    hop = n - n // 2
    n_segments = (len(grain) - n) // hop + 1
    frequency, power = np.fft.rfftfreq(n, 1 / rate), np.zeros((n // 2 + 1, grain.shape[1]))
    for first in range(0, n_segments, _SEGMENTS):
        count = min(_SEGMENTS, n_segments - first)
        rows = grain[first * hop : (first + count - 1) * hop + n]
        segments = np.lib.stride_tricks.sliding_window_view(rows, n, axis=0)[::hop]
        moving = segments - segments.mean(axis=2, keepdims=True)
        power += np.square(np.abs(fft.rfft(moving * hann(n), axis=2))).sum(axis=0).T
    power[1 : (n + 1) // 2] *= 2  # of the bins with a negative frequency too
    shares = [
        power[(frequency >= low) & (frequency < high)].sum(axis=0)
        for low, high in pairwise(_MODULATION_EDGES_HZ)
    ]
    modulation: FloatArray = np.sqrt(np.array(shares) / (power.sum(axis=0) + _STILL)).ravel()
    return modulation


def texture_distance(a: Statistics, b: Statistics) -> float:
    """Return the mean over statistics of the RMS difference divided by the mean size."""
    terms = [
        np.sqrt(np.mean((a[k] - b[k]) ** 2))
        / (0.5 * (np.abs(a[k]).mean() + np.abs(b[k]).mean()) + 1e-6)
        for k in a
    ]
    return float(np.mean(terms))


def texture_moved(y: FloatArray, music: FloatArray, ambience: FloatArray, sr: int) -> float:
    """Return dTM: how far the grain has moved from the music's (0) to the ambience's (1).

    The floor is the distance between the two halves of the ambience.
    """
    out, of_music, of_ambience = (_band_envelopes(x, sr) for x in (y, music, ambience))
    goal = _grain_statistics(of_ambience, sr)
    half = len(of_ambience) // 2
    floor = texture_distance(
        _grain_statistics(of_ambience[:half], sr), _grain_statistics(of_ambience[half:], sr)
    )
    return progress(
        _grain_statistics(out, sr, of_music), _grain_statistics(of_music, sr, of_music), goal, floor
    )


def progress(reached: Statistics, start: Statistics, goal: Statistics, floor: float) -> float:
    """Return how far `reached` has moved from `start` (0) to within `floor` of `goal` (1)."""
    whole = texture_distance(start, goal)
    # The ratio is undefined if the music is as close to the goal as the ambience's halves are to
    # each other.
    return (whole - texture_distance(reached, goal)) / max(whole - floor, 0.25 * whole, 1e-3)
