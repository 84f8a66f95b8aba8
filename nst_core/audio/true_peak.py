"""True peak: the highest value of a signal during playback, including between its samples.

ITU-R BS.1770-5, annex 2, requires a meter that oversamples at least four times. This one evaluates
eight points per sample in two stages of windowed sinc filters: 48 taps for the middle of each
interval, then 12 taps for the three points in each half. Each stage skips stretches whose
surrounding levels rule out a point above the requested level.

A sine of any frequency up to 0.47 of the sample rate reads between 0.15 dB too low (its crest is
between two of the eight points) and 0.10 dB too high. Above that frequency the first filter falls
to zero at half the sample rate, like the filters of converters. So the meter ignores the energy
that a square wave drawn on the sample grid has there.
"""

import math
from collections.abc import Iterator

import numba
import numpy as np
import numpy.typing as npt

from nst_core.arrays import Waveform
from nst_core.audio.loudness import finite_peak
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable

_HALF_TAPS, _HALF_KAISER = 48, 4.0
_FINE_TAPS, _FINE_KAISER = 12, 6.0
_BESIDE = _FINE_TAPS // 4
"""Intervals on either side whose middles the fine points of one depend on."""
_REACH = _HALF_TAPS // 2 + _BESIDE
"""Samples on either side of an interval that its points depend on."""
_TILE = 121
"""Samples that are evaluated or skipped together; with the intervals around them, 128 middles."""


def _interpolators(places: npt.ArrayLike, n_taps: int, kaiser: float) -> Waveform:
    """Return the tap weights for points inside an interval, shape (n_places, n_taps)."""
    reach = n_taps // 2
    distance = np.asarray(places)[:, None] - np.arange(1 - reach, reach + 1)
    weights = np.sinc(distance) * np.i0(kaiser * np.sqrt(1 - np.square(distance / reach)))
    normalised: Waveform = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


_HALF = _interpolators([0.5], _HALF_TAPS, _HALF_KAISER)[0]
_FINE = _interpolators([0.25, 0.5, 0.75], _FINE_TAPS, _FINE_KAISER)


def _most(filters: Waveform) -> np.float32:
    """Return the largest ratio between a point and the highest value around it."""
    return np.float32(max(np.abs(filters).sum(axis=-1).max(), 1))


_MOST_OF_HALVES = _most(_FINE)
_MOST_OF_SAMPLES = _most(_HALF) * _MOST_OF_HALVES


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _highest(x: Waveform) -> np.float32:
    highest = np.float32(0)
    for each in x:
        magnitude = abs(each)
        highest = max(highest, magnitude)
    return highest


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _filter(x: Waveform, weights: Waveform, found: Waveform) -> None:
    found[:] = 0
    for k in range(len(weights)):
        weight, later = weights[k], x[k : k + len(found)]
        for i in range(len(found)):
            found[i] += weight * later[i]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _raise_to_points(
    x: Waveform,
    floor: np.float32,
    half: Waveform,
    fine: Waveform,
    most_of_samples: np.float32,
    most_of_halves: np.float32,
    beside: int,
    tile: int,
    envelope: Waveform,
) -> None:
    """Raise an envelope to the points in the intervals next to each sample; `x` has a margin."""
    n_middles = tile + 1 + 2 * beside
    middles, both = np.empty(n_middles, np.float32), np.empty(2 * n_middles, np.float32)
    points, highest = np.empty(2 * tile + 2, np.float32), np.empty(2 * tile + 2, np.float32)
    for start in range(0, len(envelope), tile):
        own = envelope[start : start + tile]
        around = x[start : start + len(own) + 2 * beside + len(half)]
        if _highest(around) * most_of_samples <= floor:
            continue
        # Count the intervals from the one before the first sample to the one after the last.
        n = len(own) + 1
        middle = middles[: n + 2 * beside]
        _filter(around, half, middle)
        grid = both[: 2 * len(middle)]
        sample = around[len(half) // 2 - 1 :]
        for i in range(len(middle)):
            grid[2 * i], grid[2 * i + 1] = sample[i], middle[i]
        if _highest(grid) * most_of_halves <= floor:
            continue
        peak, point = highest[: 2 * n], points[: 2 * n]
        peak[:] = np.abs(grid[2 * beside : 2 * (beside + n)])
        for k in range(len(fine)):
            _filter(grid[1:], fine[k], point)
            for i in range(len(peak)):
                magnitude = abs(point[i])
                peak[i] = max(peak[i], magnitude)
        for i in range(len(own)):
            for k in range(4):
                own[i] = max(own[i], peak[2 * i + k])


def envelope(y: Sliceable, part: slice, floor: float, *, gain: float = 1.0) -> Waveform:
    """Return the highest value at each sample and in the two intervals next to it.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
        Counts as silent before its first and after its last sample. The result is the maximum over
        its channels.
    part
        Samples to return; may begin before the first sample and end after the last.
    floor
        Full scale 1. Values up to the floor may read too low; higher values are exact, whatever
        `part` is.
    gain
        Gain applied to `y`.

    Returns
    -------
    shape (part.stop - part.start,), float32, >= 0
    """
    around = _padded(y, slice(part.start - _REACH, part.stop + _REACH)) * np.float32(gain)
    channels = around.reshape(len(around), -1).T
    found: Waveform = np.abs(channels[:, _REACH:-_REACH]).max(axis=0)
    for channel in channels:
        _raise_to_points(
            np.ascontiguousarray(channel),
            np.float32(floor),
            _HALF,
            _FINE,
            _MOST_OF_SAMPLES,
            _MOST_OF_HALVES,
            _BESIDE,
            _TILE,
            found,
        )
    return found


def _padded(y: Sliceable, part: slice) -> Waveform:
    """Return a part of a signal, padded with silence beyond the ends of the signal."""
    inside = y[max(part.start, 0) : max(min(part.stop, len(y)), 0)]
    before = max(-part.start, 0)
    after = part.stop - part.start - before - len(inside)
    if not before and not after:
        return inside
    return np.pad(inside, [(before, after)] + [(0, 0)] * (inside.ndim - 1))


def true_peak(y: Sliceable) -> float:
    """Return the highest value of a signal, at and between its samples, full scale 1.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32

    Raises
    ------
    SignalError
        As in `nst_core.audio.loudness.finite_peak`.
    """
    highest = finite_peak(y)
    for part in block_parts(len(y)):
        highest = max(highest, float(envelope(y, part, highest).max()))
    return highest


def true_peak_dbtp(y: Sliceable) -> float:
    """Return `true_peak` in decibels; minus infinity for silence."""
    highest = true_peak(y)
    return 20 * math.log10(highest) if highest > 0 else -math.inf


def block_parts(n_samples: int) -> Iterator[slice]:
    """Yield slices that cover a signal; their length bounds memory and changes no value."""
    n = block_sizes.SIZES.metered_samples
    for start in range(0, n_samples, n):
        yield slice(start, min(start + n, n_samples))
