"""Members of a ``.tar``, ``.tar.gz`` or ``.zip``, read in little memory whatever the file says.

`tarfile` and `zipfile` hold what precedes a member in memory, whatever its size. Some versions of
`tarfile` also need quadratic time for it, or never end (CVE-2024-6232, CVE-2025-8194).
"""

import contextlib
import functools
import gzip
import io
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

from nst_core.errors import DatasetError

_CHUNK = 1 << 20
_TAR_HEADERS = 16 << 10
"""Bytes of a member's headers; usually some hundred, for its name and attributes."""
_TAR_GLOBALS = 64
"""Statements about all members, which tarfile copies for each of them."""
_ZIP_NAMES = 4 << 20
"""Bytes of a .zip's table of contents; twenty thousand names need about two million."""
_MANY_DIGITS = re.compile(rb"[0-9]{100}")

Kind: TypeAlias = Literal["file", "folder", "other"]


class Member(NamedTuple):
    """Member of an archive; `open` returns None for one without bytes."""

    name: str
    size: int
    kind: Kind
    open: Callable[[], IO[bytes] | None]


def members(archive: Path) -> Iterator[Member]:
    """Yield the members in the order of the archive, before their bytes are unpacked.

    Raises
    ------
    DatasetError
        ``not_archive``, or ``archive_too_big`` for headers out of proportion.
    """
    with archive.open("rb") as stream:
        head = stream.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _zip_members(archive)
    elif head.startswith(b"\x1f\x8b"):
        with gzip.open(archive) as unzipped:
            yield from _tar_members(archive, unzipped)
    elif head[257:262] == b"ustar":
        with archive.open("rb") as stream:
            yield from _tar_members(archive, stream)
    else:
        start = head[:16].decode("ascii", "replace")
        message = f"{archive}: is not a .tar.gz, .tgz, .tar or .zip: it starts with {start!r}"
        raise DatasetError(message, code="not_archive")


class _Guarded(io.RawIOBase):
    """Stream that refuses long headers: `left` is how much may be read, None for anything."""

    def __init__(self, archive: Path, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._archive, self._stream = archive, stream
        self.left: int | None = None

    def read(self, size: int = -1) -> bytes:
        if self.left is None:
            return self._stream.read(size)
        if not 0 <= size <= self.left:
            raise too_big(self._archive, f"has a header of {max(size, 0)} bytes")
        self.left -= size
        data = self._stream.read(size)
        if _MANY_DIGITS.search(data):
            raise tarfile.ReadError("a header has a number of a hundred digits")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def too_big(archive: Path, fact: str) -> DatasetError:
    """Return the error of an archive that would take too much room."""
    message = f"{archive}: {fact}; unpack it yourself and pass the folder"
    return DatasetError(message, code="archive_too_big")


def _tar_members(archive: Path, stream: IO[bytes] | gzip.GzipFile) -> Iterator[Member]:
    guarded = _Guarded(archive, stream)
    guarded.left = _TAR_HEADERS
    with _named():
        tar = tarfile.open(fileobj=guarded, mode="r:")  # noqa: SIM115  # closed below
    with tar:
        while True:
            with _named():
                info = tar.next()
            guarded.left = None
            if info is None:
                break
            if len(tar.pax_headers) > _TAR_GLOBALS:
                raise too_big(archive, f"has headers of more than {_TAR_GLOBALS} kinds")
            if info.size < 0:
                raise tarfile.ReadError(f"the size of {info.name!r} is negative")
            kind: Kind = "file" if info.isreg() else "folder" if info.isdir() else "other"
            yield Member(
                info.name, info.size, kind, functools.partial(_opened, tar.extractfile, info)
            )
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all
            guarded.left = _TAR_HEADERS
        # gzip's checksum comes after the padding, which tarfile does not read.
        for _ in range(64):
            if not stream.read(_CHUNK):
                return
    raise tarfile.ReadError("64 MiB follow the end of the archive")


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Name the damages for which `tarfile` and `zipfile` have no error."""
    try:
        yield
    except RecursionError as error:
        raise tarfile.ReadError("hundreds of headers follow one another") from error
    except (ValueError, OverflowError, LookupError, struct.error) as error:
        raise tarfile.ReadError(f"a header is damaged: {error}") from error


def _opened(open_one: Callable[[Any], IO[bytes] | None], info: object) -> IO[bytes] | None:
    with _named():
        return open_one(info)


def _zip_members(archive: Path) -> Iterator[Member]:
    with archive.open("rb") as stream, _named():
        # zipfile reads the whole table before it can be asked how long it is.
        end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # noqa: SLF001  # not typed
    if end and end[5] > _ZIP_NAMES:
        raise too_big(archive, f"has {end[5]} bytes of names, more than {_ZIP_NAMES}")
    with _named():
        package = zipfile.ZipFile(archive)
    with package:
        for info in package.infolist():
            locked = info.flag_bits & 1
            kind: Kind = "folder" if info.filename.endswith("/") else "other" if locked else "file"
            yield Member(
                info.filename, info.file_size, kind, functools.partial(_opened, package.open, info)
            )
