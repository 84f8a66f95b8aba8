"""Arrays along time: in memory if they are short, else computed or read a block at a time.

A piece of half an hour has two gigabytes of waveforms, mels and gains. All operations need only
a few seconds at a time, or a sum over all, so a long array never has to be in memory as a whole.
"""

import math
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from nst_core.streaming import block_sizes

Block = npt.NDArray[Any]


class Sliceable(Protocol):
    """An array, or an object that computes or reads parts of one, along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the full array."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Block: ...


@dataclass(frozen=True)
class Derived:
    """Array that a function computes, element by element along time, from one or more arrays.

    Attributes
    ----------
    make
        Function from blocks of shape (n, ...) to one block of length n.
    of
        Input arrays; all must have the same length.
    """

    make: Callable[..., Block]
    of: tuple[Sliceable, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of the inputs, with the other axes of the result."""
        return len(self), *self[:0].shape[1:]

    def __len__(self) -> int:
        return len(self.of[0])

    def __getitem__(self, part: slice) -> Block:
        return self.make(*(each[part] for each in self.of))


@overload
def derive(make: Callable[..., Block], *of: Block) -> Block: ...
@overload
def derive(make: Callable[..., Block], *of: Sliceable) -> Sliceable: ...
def derive(make: Callable[..., Block], *of: Sliceable) -> Sliceable:
    """Apply `make` to arrays of the same length: at once if they are in memory, else lazily."""
    if all(isinstance(each, np.ndarray) for each in of):
        return make(*of)
    return Derived(make, of)


class DiskArray:
    """An array in a file; only requested parts are read into memory.

    Not `numpy.memmap`: pages that were read through it count as resident memory of the process,
    and a file that is cut short ends the process by a signal instead of raising an error.

    Parameters
    ----------
    file
        File open for reading; closed with this array.
    offset
        Position of the array's first byte.
    shape, dtype
        Shape and type of the array, in C order.
    """

    def __init__(
        self, file: IO[bytes], offset: int, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._fd, self._offset = file.fileno(), offset
        weakref.finalize(self, file.close)  # collecting an open file would raise a warning

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Block:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise IndexError(f"step {step}: an array on disk can only be read with step 1")
        found = np.empty((max(stop - start, 0), *self.shape[1:]), self.dtype)
        at = self._offset + start * math.prod(self.shape[1:]) * self.dtype.itemsize
        left = found.reshape(-1).view(np.uint8).data
        while left:  # one call reads at most two gigabytes
            n = os.preadv(self._fd, [left], at)
            if not n:
                raise EOFError(f"the file ends {len(left)} bytes before the end of its array")
            left, at = left[n:], at + n
        return found


class Spool:
    """Array that is built by appending blocks; a long one goes to a file without a name.

    Parameters
    ----------
    scratch
        Folder of that file; if None, everything stays in memory.
    """

    def __init__(self, scratch: Path | None) -> None:
        self._scratch = scratch
        self._held: list[Block] = []
        self._n_bytes = self._n = 0
        self._file: IO[bytes] | None = None

    def add(self, stretch: Block) -> None:
        """Append a block; only its length may differ from the others."""
        self._held.append(stretch)
        self._n_bytes += stretch.nbytes
        self._n += len(stretch)
        if self._scratch is not None and self._n_bytes > block_sizes.SIZES.in_memory_bytes:
            self._write()

    def whole(self) -> Sliceable:
        """Return the whole array, after at least one block was added."""
        if self._file is None:
            return self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        self._abandoned.detach()  # the array will close it
        last = self._held[-1]
        return DiskArray(self._file, 0, (self._n, *last.shape[1:]), last.dtype)

    def _write(self) -> None:
        if self._file is None:
            self._file = TemporaryFile(dir=self._scratch, buffering=0)  # noqa: SIM115  # see next
            self._abandoned = weakref.finalize(self, self._file.close)
        for stretch in self._held:
            write_all(self._file, stretch.tobytes())
        self._held = [np.empty_like(stretch, shape=(0, *stretch.shape[1:]))]


def of_length(y: Sliceable, n: int) -> Sliceable:
    """Return an array with `n` rows: cut, or with up to a few rows of zeros after its end."""
    if len(y) == n:
        return y
    if isinstance(y, np.ndarray):
        missing = max(n - len(y), 0)
        return np.pad(y[:n], [(0, missing)] + [(0, 0)] * (y.ndim - 1))
    return _OfLength(y, n)


@dataclass(frozen=True)
class _OfLength:
    """`of_length` of an array that is not in memory."""

    of: Sliceable
    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the full array."""
        return (self.n, *self.of.shape[1:])

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, part: slice) -> Block:
        start, stop, _ = part.indices(self.n)
        found = self.of[start : min(stop, len(self.of))]
        missing = max(stop - start, 0) - len(found)
        return np.pad(found, [(0, missing)] + [(0, 0)] * (found.ndim - 1)) if missing else found


def spooled(stretches: Iterable[Block], scratch: Path | None) -> Sliceable:
    """Collect one or more blocks into an array, in a file of `scratch` if it is long."""
    spool = Spool(scratch)
    for stretch in stretches:
        spool.add(stretch)
    return spool.whole()


def write_all(file: IO[bytes], data: bytes | bytearray) -> None:
    """Write all data to an unbuffered file, which may accept only a part at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def blocks(array: Sliceable) -> Iterator[Block]:
    """Yield an array in blocks of some rows."""
    n = max(1, block_sizes.SIZES.elements // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), n):
        yield array[start : start + n]
