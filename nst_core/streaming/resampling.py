"""Convert sample rates with soxr: whole arrays, or long ones block by block."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soxr

from nst_core.arrays import Waveform
from nst_core.errors import SignalError
from nst_core.streaming.arrays import Sliceable, blocks, spooled

_QUALITY = "HQ"
"""Quality of soxr: 20 bits, linear phase."""


def resample(y: Waveform, sr_in: int, sr_out: int) -> Waveform:
    """Convert the sample rate.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels)
    sr_in, sr_out
        Hz, above 0.

    Returns
    -------
    shape (n_samples * sr_out / sr_in, rounded,) or with channels, float32
    """
    _check_rates(sr_in, sr_out)
    if sr_in == sr_out:
        return np.asarray(y, np.float32)
    contiguous = np.ascontiguousarray(y, np.float32)
    converted: Waveform = soxr.resample(contiguous, sr_in, sr_out, _QUALITY)
    return converted


def resampled(stretches: Iterable[Waveform], sr_in: int, sr_out: int) -> Iterator[Waveform]:
    """Yield `resample` of consecutive float32 blocks, bit for bit, block by block."""
    _check_rates(sr_in, sr_out)
    if sr_in == sr_out:
        yield from stretches
        return
    stream = None
    for y in stretches:
        if stream is None:
            n_channels, nothing = math.prod(y.shape[1:]), np.zeros_like(y, shape=(0, *y.shape[1:]))
            stream = soxr.ResampleStream(sr_in, sr_out, n_channels, "float32", _QUALITY)
        yield stream.resample_chunk(np.ascontiguousarray(y))
    if stream:
        yield stream.resample_chunk(nothing, last=True)


def at_rate(y: Sliceable, sr: int, wanted: int, *, scratch: Path | None = None) -> Sliceable:
    """Convert the sample rate of an array of any length.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
    sr, wanted
        Present and wanted rate in Hz.
    scratch
        Folder for a long result; None keeps it in memory.
    """
    if sr == wanted:
        return y
    return spooled(resampled(blocks(y), sr, wanted), scratch)


def _check_rates(sr_in: int, sr_out: int) -> None:
    if min(sr_in, sr_out) <= 0:
        raise SignalError(f"sample rates of {sr_in} and {sr_out} Hz must be above 0")
