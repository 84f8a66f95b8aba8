"""Arrays in an uncompressed ``.npz`` file, written and read without holding them in memory."""

import os
import struct
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import DiskArray, Sliceable, blocks

_ZIP_HEADER = struct.Struct("<26xHH")
"""Local header of a zip member: contains the lengths of the name and extra field after it."""


def save_arrays(path: Path, **arrays: Sliceable | np.generic) -> None:
    """Write an uncompressed ``.npz`` without pickles, like `numpy.savez` but in little memory."""
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
    """Return the named arrays that `save_arrays` wrote, in the order of `names`.

    Long arrays stay in the file, which may be deleted while they are used.
    """
    with np.load(path, allow_pickle=False) as archive:
        members = {member.filename: member for member in archive.zip.infolist()}

        def opened(name: str) -> Sliceable:
            member = members[f"{name}.npy"]
            is_long = member.file_size > block_sizes.SIZES.in_memory_bytes
            return _open_member(path, member) if is_long else archive[name]

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
            raise ValueError(f"{path} contains a {member.filename} that save_arrays did not write")
        stack.pop_all()  # the array will close it
        return DiskArray(file, file.tell(), shape, dtype)
