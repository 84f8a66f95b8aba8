"""How loud a waveform is: peak, root mean square, loudness; full scale is 1."""

import math
from collections.abc import Iterator
from functools import partial
from typing import overload

import numpy as np
import numpy.typing as npt
import pyloudnorm

from nst_core.config import LEVEL, AudioLimits
from nst_core.errors import SignalError
from nst_core.spool import Sliceable, blocks, derive

Waveform = npt.NDArray[np.float32]

_GATE_BLOCK_S = 0.4
_GATE_LUFS = -70.0
_METERED_S = 60
_CLIPPED = 0.999
_BLOCK = 1 << 18
"""Samples squared at a time: in double precision all would be twice the signal."""


def to_mono(y: Waveform) -> Waveform:
    """Mean of the channels: (n_samples, n_channels) or (n_samples,) to (n_samples,)."""
    if y.ndim == 1:
        return y
    # A matrix product: a sum along two channels keeps no vector unit busy.
    mean: Waveform = y @ np.full(y.shape[1], 1 / y.shape[1], np.float32)
    return mean


def finite_peak(y: Sliceable) -> float:
    """Largest absolute sample, full scale 1.

    Raises
    ------
    SignalError
        For an empty array, a wrong shape, and ``non_finite`` for NaN or infinity.
    """
    most = AudioLimits.max_channels
    if len(y.shape) not in (1, 2) or not math.prod(y.shape) or max(y.shape[1:], default=1) > most:
        raise SignalError(
            f"shape {y.shape} is not (n_samples,) or (n_samples, 1 to {most} channels)"
        )
    # NumPy's maximum hands NaN on, Python's does not.
    peak = float(np.max([np.max(np.abs(block)) for block in blocks(y)]))
    if not math.isfinite(peak):
        raise SignalError("the signal has NaN or infinite samples", code="non_finite")
    return peak


def loudness_lufs(y: Sliceable, sr: int) -> float:
    """Integrated loudness in LUFS; minus infinity for silence.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, up to 5 channels)
    sr
        Hz.

    References
    ----------
    ITU-R BS.1770-4. It gates over blocks of 0.4 s; a shorter signal is one block here.
    """
    finite_peak(y)
    if max(y.shape[1:], default=1) > 5:
        raise SignalError(f"loudness of {y.shape[1]} channels is not defined, at most 5")
    # The factor keeps a block that is the whole signal from exceeding it by rounding.
    block_s = min(_GATE_BLOCK_S, len(y) / sr * (1 - 1e-9))
    meter = pyloudnorm.Meter(sr, block_size=block_s)
    gated = np.concatenate(list(_block_loudness(y, sr, meter)))
    power = 10 ** (gated / 10)
    # The standard's two gates: -70 LUFS, then 10 below the mean of what has passed.
    passed = power[gated >= _GATE_LUFS]
    if not len(passed):
        return -math.inf
    relative = 10 * math.log10(passed.mean()) - 10
    return 10 * math.log10(power[(gated > relative) & (gated > _GATE_LUFS)].mean())


def _block_loudness(
    y: Sliceable, sr: int, meter: pyloudnorm.Meter
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the loudness of the gating blocks, one every 0.1 s; a minute is filtered at a time.

    Whole at double precision, a long track would need several times its own memory. A
    second before each minute lets the filters settle, and its last block ends 0.3 s later.
    """
    for second in range(0, max(1, len(y) // sr), _METERED_S):
        settle_s = min(second, 1)
        first, last = (second - settle_s) * sr, (second + _METERED_S) * sr + round(0.3 * sr)
        meter.integrated_loudness(y[first:last].astype(np.float64))
        yield np.array(meter.blockwise_loudness[10 * settle_s :])


@overload
def set_loudness(y: Waveform, sr: int, target: float) -> Waveform: ...
@overload
def set_loudness(y: Sliceable, sr: int, target: float) -> Sliceable: ...
def set_loudness(y: Sliceable, sr: int, target: float) -> Sliceable:
    """Scale to an integrated loudness of `target` LUFS; the peak may pass full scale.

    Raises
    ------
    SignalError
        ``silent``: below the -70 LUFS gate there is nothing to scale.
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
    """Root mean square over all samples and channels, full scale 1."""
    energies, n = [], 0
    for start in range(0, len(y), _BLOCK):
        block = y[start : start + _BLOCK]
        energies.append(float(np.square(block, dtype=np.float64).sum()))
        n += block.size
    return math.sqrt(math.fsum(energies) / n)


@overload
def set_rms(y: Waveform, level: float = LEVEL) -> Waveform: ...
@overload
def set_rms(y: Sliceable, level: float = LEVEL) -> Sliceable: ...
def set_rms(y: Sliceable, level: float = LEVEL) -> Sliceable:
    """Scale to a root mean square of `level` (full scale 1); the peak may pass full scale.

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
    """Running level statistics of a block-wise read, so that no second copy is made."""

    def __init__(self, n_channels: int) -> None:
        self.n = 0
        self.peak = 0.0
        self.n_clipped = 0
        self.total = np.zeros(n_channels)
        self.square = np.zeros(n_channels)
        self.mono_square = 0.0

    def add(self, block: Waveform, peak: float) -> None:
        """Take in a block of shape (n, n_channels) with the given absolute peak."""
        exact = block.astype(np.float64)
        self.n += len(exact)
        self.peak = max(self.peak, peak)
        if peak >= _CLIPPED:
            self.n_clipped += int(np.count_nonzero(np.abs(block) >= _CLIPPED))
        # Matrix products again.
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
        """Over all channels."""
        return math.sqrt(float(np.mean(self.square / self.n)))

    @property
    def mono_rms(self) -> float:
        """Of the mean of the channels, its DC offset included."""
        return math.sqrt(self.mono_square / self.n)

    @property
    def rms_without_dc(self) -> float:
        """Over all channels, each without its mean."""
        variance = self.square / self.n - np.square(self.total / self.n)
        return math.sqrt(max(0.0, float(np.mean(variance))))
