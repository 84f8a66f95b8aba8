"""Level of a waveform: peak, root mean square, loudness; full scale is 1."""

import math
from collections.abc import Iterable
from functools import partial
from typing import overload

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray, Waveform
from nst_core.audio.biquads import at_rest, k_weighting, run_sections
from nst_core.config import LEVEL, AudioLimits
from nst_core.errors import SignalError
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable, blocks, derive

_HOPS_PER_S, _HOPS_PER_BLOCK = 10, 4
_GATE_LUFS = -70.0
_CLIPPED = 0.999
_SPREAD_S = 60


def to_mono(y: Waveform) -> Waveform:
    """Average the channels: (n_samples, n_channels) or (n_samples,) to (n_samples,)."""
    if y.ndim == 1:
        return y
    # Use a matrix product: a sum along two channels would leave the vector units idle.
    mean: Waveform = y @ np.full(y.shape[1], 1 / y.shape[1], np.float32)
    return mean


def finite_peak(y: Sliceable) -> float:
    """Return the largest absolute sample, full scale 1.

    Raises
    ------
    SignalError
        The array is empty or has a wrong shape; ``non_finite``: it has NaN or infinite samples.
    """
    most = AudioLimits.max_channels
    if len(y.shape) not in (1, 2) or not math.prod(y.shape) or max(y.shape[1:], default=1) > most:
        raise SignalError(
            f"shape {y.shape} is not (n_samples,) or (n_samples, 1 to {most} channels)"
        )
    # NumPy's maximum propagates NaN, Python's does not.
    peak = float(np.max([np.max(np.abs(block)) for block in blocks(y)]))
    if not math.isfinite(peak):
        raise SignalError("the signal has NaN or infinite samples", code="non_finite")
    return peak


def loudness_lufs(y: Sliceable, sr: int) -> float:
    """Return the integrated loudness in LUFS; minus infinity for silence.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, up to 5 channels)
    sr
        Hz.

    References
    ----------
    ITU-R BS.1770-4. It gates over blocks of 0.4 s; we treat a shorter signal as one block. The
    filters are those of `nst_core.audio.biquads`. pyloudnorm's meter holds the whole track in
    double precision and refuses short ones; pyebur128 is one more compiled dependency.
    """
    finite_peak(y)
    if max(y.shape[1:], default=1) > 5:
        raise SignalError(f"the loudness of {y.shape[1]} channels is not defined; use at most 5")
    power = _gate_block_power(y, sr)
    # The standard's two gates: -70 LUFS, then 10 LU below the mean of the passed blocks.
    absolute = _power(_GATE_LUFS)
    passed = power[power >= absolute]
    if not len(passed):
        return -math.inf
    return _lufs(power[power > max(absolute, passed.mean() / 10)].mean())


def album_lufs(pieces: Iterable[tuple[float, float]]) -> float:
    """Return the loudness of several pieces together, in LUFS; minus infinity without any.

    It is the mean of their power, weighted by their durations: the loudness of an album that plays
    them one after the other, if no piece is more than 10 LU below the others. (Below that, the
    standard's gate would leave a quiet piece out; we count it.)

    Parameters
    ----------
    pieces
        Integrated loudness in LUFS and duration in seconds of each.
    """
    known = [(lufs, duration_s) for lufs, duration_s in pieces if math.isfinite(lufs)]
    total_s = math.fsum(duration_s for _, duration_s in known)
    if not total_s:
        return -math.inf
    energies = (_power(lufs) * duration_s for lufs, duration_s in known)
    return _lufs(math.fsum(energies) / total_s)


def spread_lufs(y: FloatArray, sr: int, *, n_channels: int) -> float:
    """Return the loudness of a mono sound that is played on several channels, in LUFS.

    A minute of it is measured: it is for a sound whose loudness hardly changes.

    Parameters
    ----------
    y : shape (n_samples,), float32
    sr
        Hz.
    n_channels
        Each adds its power, as in the loudness of a sound with several equal channels.
    """
    measured = loudness_lufs(y[: _SPREAD_S * sr], sr) + 10 * math.log10(n_channels)
    return max(round(measured, 2), _GATE_LUFS)


def _gate_block_power(y: Sliceable, sr: int) -> npt.NDArray[np.float64]:
    """Return the K-weighted mean square of the complete gating blocks, summed over channels.

    A block lasts 0.4 s and starts every 0.1 s, so each block is the sum of four hops.
    """
    weighting = k_weighting(sr)
    state = at_rest(weighting, math.prod(y.shape[1:]))
    n_hops = len(y) * _HOPS_PER_S // sr
    bounds = np.arange(n_hops + 1) * sr // _HOPS_PER_S
    energy, start = np.zeros(n_hops + 1), 0  # the last entry collects the incomplete hop
    for block in blocks(y):
        weighted = block.reshape(len(block), -1).astype(np.float64)
        run_sections(weighting, weighted, state)
        np.square(weighted, out=weighted)
        within = bounds[(bounds > start) & (bounds < start + len(block))] - start
        first = int(np.searchsorted(bounds, start, "right")) - 1
        # A matrix product, as in `to_mono`.
        sums = np.add.reduceat(weighted @ np.ones(weighted.shape[1]), [0, *within])
        energy[first : first + len(sums)] += sums
        start += len(block)
    if n_hops < _HOPS_PER_BLOCK:
        return np.array([energy.sum() / len(y)])
    block_s = _HOPS_PER_BLOCK / _HOPS_PER_S
    return np.convolve(energy[:-1], np.ones(_HOPS_PER_BLOCK), "valid") / (block_s * sr)


def _lufs(power: float) -> float:
    return 10 * math.log10(power) - 0.691


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


@overload
def set_loudness(y: Waveform, sr: int, target: float) -> Waveform: ...
@overload
def set_loudness(y: Sliceable, sr: int, target: float) -> Sliceable: ...
def set_loudness(y: Sliceable, sr: int, target: float) -> Sliceable:
    """Scale to an integrated loudness of `target` LUFS; the peak may exceed full scale.

    Raises
    ------
    SignalError
        ``silent``: the signal is below the -70 LUFS gate.
    """
    loudness = loudness_lufs(y, sr)
    if not math.isfinite(loudness):
        raise SignalError("the signal is silent, so no loudness can be set", code="silent")
    return _amplified(y, 10.0 ** ((target - loudness) / 20.0))


def _amplified(y: Sliceable, gain: float) -> Sliceable:
    return derive(partial(_times, np.float32(gain)), y)


def _times(gain: np.float32, block: Waveform) -> Waveform:
    return (block * gain).astype(np.float32, copy=False)


def rms(y: Sliceable) -> float:
    """Return the root mean square over all samples and channels, full scale 1."""
    energies, n = [], 0
    size = block_sizes.SIZES.squared_samples
    for start in range(0, len(y), size):
        block = y[start : start + size]
        energies.append(float(np.square(block, dtype=np.float64).sum()))
        n += block.size
    return math.sqrt(math.fsum(energies) / n)


@overload
def set_rms(y: Waveform, level: float = LEVEL) -> Waveform: ...
@overload
def set_rms(y: Sliceable, level: float = LEVEL) -> Sliceable: ...
def set_rms(y: Sliceable, level: float = LEVEL) -> Sliceable:
    """Scale to a root mean square of `level` (full scale 1); the peak may exceed full scale.

    Raises
    ------
    SignalError
        ``silent``: all samples are 0.
    """
    current = rms(y)
    if not current > 0:
        raise SignalError("the signal is silent, so no level can be set", code="silent")
    return _amplified(y, level / current)


class RunningLevels:
    """Running level statistics of a block-wise read, which need no second copy."""

    def __init__(self, n_channels: int) -> None:
        self.n = 0
        self.peak = 0.0
        self.n_clipped = 0
        self.total = np.zeros(n_channels)
        self.square = np.zeros(n_channels)
        self.mono_square = 0.0

    def add(self, block: Waveform, peak: float) -> None:
        """Add a block of shape (n, n_channels) whose absolute peak is `peak`."""
        exact = block.astype(np.float64)
        self.n += len(exact)
        self.peak = max(self.peak, peak)
        if peak >= _CLIPPED:
            self.n_clipped += int(np.count_nonzero(np.abs(block) >= _CLIPPED))
        # Use matrix products again, as in `to_mono`.
        products = exact.T @ exact
        self.total += np.ones(len(exact)) @ exact
        self.square += np.diag(products)
        self.mono_square += float(products.sum()) / products.size

    @property
    def dc(self) -> float:
        """Largest absolute mean of a channel."""
        return float(np.max(np.abs(self.total / self.n)))

    @property
    def rms(self) -> float:
        """Root mean square over all channels."""
        return math.sqrt(float(np.mean(self.square / self.n)))

    @property
    def mono_rms(self) -> float:
        """Root mean square of the mean of the channels, including its DC offset."""
        return math.sqrt(self.mono_square / self.n)

    @property
    def rms_without_dc(self) -> float:
        """Root mean square over all channels, each without its mean."""
        variance = self.square / self.n - np.square(self.total / self.n)
        return math.sqrt(max(0.0, float(np.mean(variance))))
