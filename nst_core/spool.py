"""Arrays along time: in memory while they are short, else made or read a stretch at a time.

A piece of half an hour is two gigabytes of waveforms, mels and gains. What is done to them
looks a few seconds far, or needs a sum over all; so nothing must hold a long one whole.
"""

import math
import os
import struct
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Protocol, overload

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[Any]

_IN_MEMORY = 16 << 20
"""Bytes from which an array goes to a file: three minutes of a channel at 22,050 Hz."""
_BLOCK = 1 << 20
"""Elements that are worked on at a time where any number will do."""
_ZIP_HEADER = struct.Struct("<26xHH")
"""Of a member, before its name and its extra field, whose lengths these are."""


class Sliceable(Protocol):
    """An array along its first axis, or what makes stretches of one when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array that all of it would be."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Block: ...


@dataclass(frozen=True)
class Derived:
    """What a function makes, element by element along time, of one array or of several.

    Attributes
    ----------
    make
        From stretches of shape (n, ...) to one of n.
    of
        Of one length.
    """

    make: Callable[..., Block]
    of: tuple[Sliceable, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the arrays' length, and else of what is made."""
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
    """What `make` makes of arrays of one length: at once if they are in memory."""
    if all(isinstance(each, np.ndarray) for each in of):
        return make(*of)
    return Derived(make, of)


class DiskArray:
    """An array in a file, of which no more is in memory than is asked for.

    Parameters
    ----------
    file
        Open for reading; closed with this array.
    offset
        Of the array's first byte.
    shape, dtype
        In C order.
    """

    def __init__(
        self, file: IO[bytes], offset: int, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._fd, self._offset = file.fileno(), offset
        weakref.finalize(self, file.close)  # a file that is collected open warns of it

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Block:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise IndexError(f"step {step}: an array on disk is read by steps of 1")
        found = np.empty((max(stop - start, 0), *self.shape[1:]), self.dtype)
        at = self._offset + start * math.prod(self.shape[1:]) * self.dtype.itemsize
        left = found.reshape(-1).view(np.uint8).data
        while left:  # one call reads two gigabytes at most
            n = os.preadv(self._fd, [left], at)
            if not n:
                raise EOFError(f"the file ends {len(left)} bytes before the array in it does")
            left, at = left[n:], at + n
        return found


class Spool:
    """Stretches laid end to end; once they are long, in a file without a name.

    Parameters
    ----------
    scratch
        Folder of that file; None: all stays in memory.
    """

    def __init__(self, scratch: Path | None) -> None:
        self._scratch = scratch
        self._held: list[Block] = []
        self._n_bytes = self._n = 0
        self._file: IO[bytes] | None = None

    def add(self, stretch: Block) -> None:
        """Lay a stretch behind the others, of their type and shape but for the length."""
        self._held.append(stretch)
        self._n_bytes += stretch.nbytes
        self._n += len(stretch)
        if self._scratch is not None and self._n_bytes > _IN_MEMORY:
            self._write()

    def whole(self) -> Sliceable:
        """All of it, once all is added; at least one stretch must be."""
        if self._file is None:
            return self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        self._abandoned.detach()  # the array closes it
        last = self._held[-1]
        return DiskArray(self._file, 0, (self._n, *last.shape[1:]), last.dtype)

    def _write(self) -> None:
        if self._file is None:
            self._file = TemporaryFile(dir=self._scratch, buffering=0)  # noqa: SIM115  # see next
            self._abandoned = weakref.finalize(self, self._file.close)
        for stretch in self._held:
            write_all(self._file, stretch.tobytes())
        self._held = [np.empty_like(stretch, shape=(0, *stretch.shape[1:]))]


def write_all(file: IO[bytes], data: bytes | bytearray) -> None:
    """Write to an unbuffered file, which may take a part at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def blocks(array: Sliceable) -> Iterator[Block]:
    """Yield an array some rows at a time."""
    n = max(1, _BLOCK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), n):
        yield array[start : start + n]


def save_arrays(path: Path, **arrays: Sliceable | np.generic) -> None:
    """Write an uncompressed ``.npz`` without pickles, as `numpy.savez` does, in little memory."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                if isinstance(array, np.ndarray | np.generic):
                    whole = np.asarray(array, order="C")
                    np.lib.format.write_array(member, whole, allow_pickle=False)
                else:
                    _write_array(member, array)


def _write_array(member: IO[bytes], array: Sliceable) -> None:
    descr = np.lib.format.dtype_to_descr(array[:0].dtype)
    header = {"descr": descr, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(member, header)
    for block in blocks(array):
        member.write(np.ascontiguousarray(block).data)


def open_arrays(path: Path, *names: str) -> list[Sliceable]:
    """Some of what `save_arrays` wrote, in the order of `names`.

    Long ones stay in the file, which may be deleted meanwhile.
    """
    with np.load(path, allow_pickle=False) as archive:
        members = {member.filename: member for member in archive.zip.infolist()}

        def opened(name: str) -> Sliceable:
            member = members[f"{name}.npy"]
            return _open_member(path, member) if member.file_size > _IN_MEMORY else archive[name]

        return [opened(name) for name in names]


def _open_member(path: Path, member: zipfile.ZipInfo) -> DiskArray:
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        file.seek(member.header_offset)
        n_name, n_extra = _ZIP_HEADER.unpack(file.read(_ZIP_HEADER.size))
        file.seek(n_name + n_extra, os.SEEK_CUR)
        version = np.lib.format.read_magic(file)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if version != (1, 0) or is_fortran or member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{path} holds a {member.filename} that save_arrays did not write")
        stack.pop_all()  # the array closes it
        return DiskArray(file, file.tell(), shape, dtype)
