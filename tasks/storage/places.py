"""One interface for the two places of a file: a disk, or a bucket on S3.

Errors are those of the disk or client; tasks/storage/files.py turns them into StorageError.
"""

import contextlib
import errno
import io
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from tasks.storage import s3
from tasks.storage.errors import reported
from tasks.storage.uris import is_remote, local_text

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EOPNOTSUPP}


class Description(NamedTuple):
    """Size of a file in bytes, and the time of its last change in seconds, if known."""

    size: int
    modified_s: float | None


class Entry(NamedTuple):
    """A file in a folder."""

    uri: str
    size: int
    modified_s: float | None


class Place(Protocol):
    """A file or folder, which may not exist."""

    def describe(self) -> Description | None:
        """Return size and time of change of the file; None for a folder."""

    def entries(self) -> Iterator[Entry]:
        """Yield the files directly in the folder; none if it does not exist."""

    def read(self) -> bytes:
        """Return the content of the file."""

    def copy_to(self, path: Path) -> None:
        """Copy the file to a local path; the copy is not atomic."""

    def write(self, data: bytes) -> None:
        """Write or replace the file atomically: readers see the old or the new bytes."""

    def publish(self, path: Path, before: Callable[[], None]) -> None:
        """Write a local file here as `write` does; `before` is called just before it appears."""

    def create(self, data: bytes) -> bool:
        """Create the file; return False if it already exists."""

    def delete(self) -> None:
        """Delete the file."""

    def remove_empty_folder(self) -> None:
        """Remove the folder, if it exists and is empty."""


def place(uri: str) -> Place:
    """Return the place that a URI names; raise StorageError for an unsupported scheme."""
    return S3Place(uri) if is_remote(uri) else LocalPlace(local_text(uri))


@dataclass(frozen=True, slots=True)
class S3Place:
    """An object or a prefix in a bucket."""

    uri: str

    def describe(self) -> Description | None:  # noqa: D102  # Place has the docstrings
        info = s3.client().info(self.uri, refresh=True)
        return Description(info["size"], _changed(info)) if info["type"] == "file" else None

    def entries(self) -> Iterator[Entry]:  # noqa: D102
        try:
            infos = s3.client().ls(self.uri.rstrip("/"), detail=True, refresh=True)
        except FileNotFoundError:
            return
        for info in infos:
            if info["type"] == "file":
                yield Entry(f"s3://{info['name']}", info["size"], _changed(info))

    def read(self) -> bytes:  # noqa: D102
        data: bytes = s3.client().cat_file(self.uri)
        return data

    def copy_to(self, path: Path) -> None:  # noqa: D102
        s3.client().get_file(self.uri, str(path))

    def write(self, data: bytes) -> None:  # noqa: D102
        s3.client().pipe_file(self.uri, data)

    def publish(self, path: Path, before: Callable[[], None]) -> None:  # noqa: D102
        before()
        s3.client().put_file(str(path), self.uri)

    def create(self, data: bytes) -> bool:  # noqa: D102
        return s3.create(self.uri, data)

    def delete(self) -> None:  # noqa: D102
        s3.client().rm_file(self.uri)

    def remove_empty_folder(self) -> None:  # noqa: D102
        # Buckets have no folders, but some servers create and show them.
        with reported(self.uri, "delete"), contextlib.suppress(FileNotFoundError):
            s3.client().rm_file(f"{self.uri}/")


def _changed(info: dict[str, Any]) -> float | None:
    changed = info.get("LastModified")
    return changed.timestamp() if changed else None


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A path on a disk of this machine, as text: see `local_text`."""

    path: str

    def describe(self) -> Description | None:  # noqa: D102
        status = os.stat(self.path)  # noqa: PTH116  # see local_text
        regular = stat.S_ISREG(status.st_mode)
        return Description(status.st_size, status.st_mtime) if regular else None

    def entries(self) -> Iterator[Entry]:  # noqa: D102
        folder = Path(self.path)
        if not folder.is_dir():
            return
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    yield Entry(str(path), status.st_size, status.st_mtime)

    def read(self) -> bytes:  # noqa: D102
        with open(self.path, "rb") as stream:  # noqa: PTH123  # see local_text
            return stream.read()

    def copy_to(self, path: Path) -> None:  # noqa: D102
        shutil.copyfile(self.path, path)

    def write(self, data: bytes) -> None:  # noqa: D102
        self._replace(io.BytesIO(data), before=lambda: None)

    def publish(self, path: Path, before: Callable[[], None]) -> None:  # noqa: D102
        with path.open("rb") as source:
            self._replace(source, before)

    def _replace(self, source: BinaryIO, before: Callable[[], None]) -> None:
        target = Path(self.path)
        with beside(target) as temporary:
            _write_synced(temporary, source)
            before()
            temporary.replace(target)
            _sync_folder(target.parent)

    def create(self, data: bytes) -> bool:  # noqa: D102
        target = Path(self.path)
        with beside(target) as temporary:
            _write_synced(temporary, io.BytesIO(data))
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                temporary.replace(target)
            _sync_folder(target.parent)
        return True

    def delete(self) -> None:  # noqa: D102
        Path(self.path).unlink()

    def remove_empty_folder(self) -> None:  # noqa: D102
        with contextlib.suppress(OSError):
            Path(self.path).rmdir()


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a hidden name in the same folder; delete the file afterwards if it still exists."""
    with reported(str(path.parent), "create"):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _write_synced(path: Path, source: BinaryIO) -> None:
    with path.open("xb") as stream:
        shutil.copyfileobj(source, stream, 1 << 20)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
