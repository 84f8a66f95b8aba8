"""Windows of a waveform: short ones to train on, long ones to render in bounded memory."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nst_core.config import SegmentConfig
from nst_core.errors import SignalError
from nst_core.levels import Waveform
from nst_core.spool import Sliceable, Spool

Bounds = tuple[int, int]
_Float = TypeVar("_Float", bound=np.floating[Any])


def segment_samples(sr: int, config: SegmentConfig) -> int:
    """Return the samples of one segment: 66,150 at 22,050 Hz and 3 s."""
    return round(config.duration_s * sr)


def segment_bounds(n_samples: int, sr: int, config: SegmentConfig) -> list[Bounds]:
    """Cut a track into segments.

    Parameters
    ----------
    n_samples
        Length of the track.
    sr
        Hz.
    config
        Duration and overlap of segments, and how full the last one must be.

    Returns
    -------
    list of (start, stop) in samples
        All but the last are whole. The last may stop at the track's end, if it is at least
        ``min_fill`` of a segment; so a track shorter than that gives none.
    """
    window = segment_samples(sr, config)
    hop = max(1, round(window * (1.0 - config.overlap)))
    bounds: list[Bounds] = []
    start = 0
    # A start inside the last whole window would repeat samples and add none.
    while start < n_samples and (not bounds or bounds[-1][1] < n_samples):
        bounds.append((start, min(start + window, n_samples)))
        start += hop
    if bounds and bounds[-1][1] - bounds[-1][0] < config.min_fill * window:
        bounds.pop()
    return bounds


def cut_segments(y: Waveform, sr: int, config: SegmentConfig) -> Waveform:
    """Cut a track into segments of one length; the last one may be padded with zeros.

    Parameters
    ----------
    y : shape (n_samples,), float32
    sr
        Hz.

    Returns
    -------
    shape (n_segments, segment_samples), float32
        No rows for a track that is shorter than ``min_fill`` of a segment.

    Raises
    ------
    SignalError
        For an array of another shape.
    """
    if y.ndim != 1:
        raise SignalError(f"shape {y.shape} is not (n_samples,); mix it to mono first")
    bounds = segment_bounds(len(y), sr, config)
    segments = np.zeros((len(bounds), segment_samples(sr, config)), dtype=np.float32)
    for row, (start, stop) in zip(segments, bounds, strict=True):
        row[: stop - start] = y[start:stop]
    return segments


def window_bounds(n_samples: int, window: int, overlap: int) -> list[Bounds]:
    """Cover a signal with windows of nearly one length that overlap by `overlap` samples.

    The windows are made equal instead of leaving a short one at the end: a render of a
    fraction of a second has nothing to work with.

    Parameters
    ----------
    n_samples, window, overlap
        Samples: the signal, the longest window, what two neighbours share.

    Returns
    -------
    list of (start, stop) in samples
        One window for a signal that fits into it.

    Raises
    ------
    SignalError
        For an empty signal, or an overlap that is not below half a window.
    """
    if n_samples <= 0 or not 0 <= 2 * overlap < window:
        raise SignalError(
            f"{n_samples} samples cannot be covered by windows of {window} that share {overlap}; "
            "the overlap must be below half a window"
        )
    n_windows = max(1, math.ceil((n_samples - overlap) / (window - overlap)))
    length = math.ceil((n_samples + (n_windows - 1) * overlap) / n_windows)
    starts = [i * (length - overlap) for i in range(n_windows)]
    return [(start, min(start + length, n_samples)) for start in starts]


@dataclass(frozen=True)
class Stretch:
    """Samples to keep of a track, and those around them that are worked on for their sake."""

    core: slice
    around: slice

    @property
    def inner(self) -> slice:
        """Where the core lies in what is worked on."""
        return slice(self.core.start - self.around.start, self.core.stop - self.around.start)

    def frames(self, hop_length: int) -> slice:
        """Frames of the core among those of what is worked on; the last has the track's end."""
        inner = self.inner
        is_last = self.core.stop == self.around.stop
        return slice(inner.start // hop_length, inner.stop // hop_length + is_last)


def stretches(n_samples: int, longest: int, halo: int, grid: int) -> list[Stretch]:
    """Cover a signal with stretches of one length and at least `halo` samples around each.

    Parameters
    ----------
    n_samples, longest
        Samples: of the signal, and of a core at most, to the next multiple of `grid`.
    halo
        Samples on either side, where the signal has them.
    grid
        Every stretch begins on a multiple of it, so that frames coincide.

    Returns
    -------
    One stretch without a halo for a signal that fits.
    """
    if n_samples <= longest:
        return [Stretch(slice(0, n_samples), slice(0, n_samples))]
    even = n_samples / math.ceil(n_samples / longest)
    length, halo = (math.ceil(each / grid) * grid for each in (even, halo))
    cores = [(a, min(a + length, n_samples)) for a in range(0, n_samples, length)]
    return [
        Stretch(slice(a, b), slice(max(0, a - halo), min(n_samples, b + halo))) for a, b in cores
    ]


def in_stretches(
    make: Callable[[Stretch], Waveform], parts: Sequence[Stretch], *, scratch: Path | None = None
) -> Sliceable:
    """Lay the cores of what `make` makes of the stretches end to end, in a `Spool`."""
    whole = Spool(scratch)
    for part in parts:
        whole.add(make(part)[part.inner])
    return whole.whole()


def join_windows(
    windows: Iterable[tuple[int, npt.NDArray[_Float]]],
    n_samples: int,
    overlap: int,
    *,
    scratch: Path | None = None,
) -> Sliceable:
    """Join processed windows by linear cross-fades; the inverse of cutting by `window_bounds`.

    Parameters
    ----------
    windows : pairs of a start in samples and an array (n,) or (n, n_channels)
        In order. Only one is held at a time, so a generator bounds the memory.
    n_samples
        Length of the result.
    overlap
        Samples that neighbours share, as given to `window_bounds`.
    scratch
        Folder for a long result; None: it stays in memory.

    Returns
    -------
    shape (n_samples,) or (n_samples, n_channels), of the windows' type
        Linear fades: where both windows agree the result is what they agree on.

    Raises
    ------
    SignalError
        For windows that leave a gap, share another number of samples, or end elsewhere.
    """
    joined = Spool(scratch)
    ramp = (np.arange(overlap, dtype=np.float32) + 0.5) / max(overlap, 1)
    filled = 0
    end: npt.NDArray[_Float] | None = None
    for start, window in windows:
        y, shared = window, 0 if end is None else overlap
        _check_window(start, len(y), filled - shared, shared, n_samples)
        if end is not None:
            fade = ramp.reshape(-1, *[1] * (y.ndim - 1))
            faded = (end + fade * (y[:shared] - end)).astype(y.dtype)
            y = np.concatenate([faded, y[shared:]])
        filled = start + len(y)
        kept = len(y) if filled == n_samples else max(len(y) - overlap, 0)
        joined.add(y[:kept])
        end = y[kept:]
    if end is None or filled != n_samples:
        raise SignalError(f"the windows end at sample {filled}, the signal at {n_samples}")
    return joined.whole()


def _check_window(start: int, n: int, expected: int, shared: int, n_samples: int) -> None:
    if start != expected or n < shared or start + n > n_samples:
        raise SignalError(
            f"a window of {n} samples at {start} does not continue the signal: a start at "
            f"{expected} and an end by {n_samples} are needed; cut by window_bounds"
        )
