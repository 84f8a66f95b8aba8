"""Windows and stretches of a long signal: cut it, process each part, join the results."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nst_core.arrays import Waveform
from nst_core.errors import SignalError
from nst_core.streaming.arrays import Sliceable, Spool

Bounds = tuple[int, int]
_Float = TypeVar("_Float", bound=np.floating[Any])


def window_bounds(n_samples: int, window: int, overlap: int) -> list[Bounds]:
    """Cover a signal with windows of nearly equal length that overlap by `overlap` samples.

    Equal windows avoid a short one at the end: a fraction of a second is too short to render.

    Parameters
    ----------
    n_samples, window, overlap
        Samples of the signal, of the longest window, and of the overlap of two neighbours.

    Returns
    -------
    list of (start, stop) in samples
        One window for a signal that fits into it.

    Raises
    ------
    SignalError
        The signal is empty, or the overlap is not below half a window.
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
    """Part of a track: the core to keep, and the samples around it that the core depends on."""

    core: slice
    around: slice

    @property
    def inner(self) -> slice:
        """Slice of the core within the processed samples."""
        return slice(self.core.start - self.around.start, self.core.stop - self.around.start)

    def frames(self, hop_length: int) -> slice:
        """Return the core's frames within the processed ones; the last stretch has the end."""
        inner = self.inner
        is_last = self.core.stop == self.around.stop
        return slice(inner.start // hop_length, inner.stop // hop_length + is_last)


def stretches(n_samples: int, longest: int, halo: int, grid: int) -> list[Stretch]:
    """Cover a signal with stretches of equal length and at least `halo` samples around each.

    Parameters
    ----------
    n_samples, longest
        Samples of the signal, and of the longest core, rounded to a multiple of `grid`.
    halo
        Samples on either side, if the signal has them.
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
    """Apply `make` to each stretch, and join the cores of the results in a `Spool`."""
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
        Folder for a long result; if None, it stays in memory.

    Returns
    -------
    shape (n_samples,) or (n_samples, n_channels), of the windows' type
        The fades are linear, so the result is unchanged where both windows agree.

    Raises
    ------
    SignalError
        The windows leave a gap, overlap by another number of samples, or end elsewhere.
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
        raise SignalError(f"the windows end at sample {filled}, but the signal at {n_samples}")
    return joined.whole()


def _check_window(start: int, n: int, expected: int, shared: int, n_samples: int) -> None:
    if start != expected or n < shared or start + n > n_samples:
        raise SignalError(
            f"a window of {n} samples at {start} does not continue the signal: it must start at "
            f"{expected} and end by {n_samples}; cut the signal with window_bounds"
        )
