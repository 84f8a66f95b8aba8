"""Sample rates converted, by soxr: whole arrays, or long ones a stretch at a time."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from nst_core.errors import SignalError
from nst_core.levels import Waveform

_QUALITY = "HQ"
"""20 bits, linear phase."""


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
    """`resample` of float32 stretches that lie end to end, to the bit, some of it at a time."""
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


def _check_rates(sr_in: int, sr_out: int) -> None:
    if min(sr_in, sr_out) <= 0:
        raise SignalError(f"sample rates of {sr_in} and {sr_out} Hz must be above 0")
