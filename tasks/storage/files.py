"""Read and write files at a path or ``s3://`` URI: atomic, with `StorageError` for failures."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from nst_core.checksum import sha256_of
from tasks.storage.errors import StorageError, reported
from tasks.storage.places import Description, Entry, place
from tasks.storage.uris import is_remote, join, local


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of a local file; raise StorageError if it cannot be read."""
    with reported(str(path), "read"):
        return sha256_of(path)


def describe(uri: str) -> Description | None:
    """Return size and time of change of a file, or None if it does not exist."""
    with reported(uri, "look up"):
        try:
            return place(uri).describe()
        except (FileNotFoundError, NotADirectoryError):
            return None


def list_files(folder: str) -> list[Entry]:
    """List the files directly in a folder or prefix, by name; empty if it does not exist.

    Hidden files are left out, because they may be unfinished.
    """
    with reported(folder, "list"):
        found = place(folder).entries()
        return sorted(entry for entry in found if not entry.uri.rpartition("/")[2].startswith("."))


def read_bytes(uri: str) -> bytes:
    """Return the content of a small file; raise StorageError, such as ``not_found``."""
    data = read_if_present(uri)
    if data is None:
        raise StorageError(uri, "read", "there is no such file", code="not_found")
    return data


def read_if_present(uri: str) -> bytes | None:
    """Return the content of a small file, or None if it does not exist."""
    with reported(uri, "read"):
        try:
            return place(uri).read()
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextlib.contextmanager
def fetch_input(uri: str, scratch_dir: Path) -> Iterator[Path]:
    """Yield a local path to a user's file: the file itself, or a temporary download."""
    if not is_remote(uri):
        yield local(uri)
        return
    with reported(str(scratch_dir), "create"):
        scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="input-", dir=scratch_dir) as folder:
        path = Path(folder, PurePosixPath(uri).name)
        copy_to_local(uri, path)
        yield path


def copy_to_local(uri: str, path: Path) -> None:
    """Copy a file to a temporary local path; the copy is not atomic."""
    with reported(uri, "read"):
        place(uri).copy_to(path)


def publish(local_path: Path, uri: str, *, before: Callable[[], None] = lambda: None) -> None:
    """Publish a finished file atomically: readers see the old or the new bytes.

    Parameters
    ----------
    before
        Called just before the file appears or its upload begins; if it raises, neither happens.
    """
    with reported(uri, "write"):
        place(uri).publish(local_path, before)


def write_bytes(uri: str, data: bytes) -> None:
    """Write a small file, or replace it: readers see the old or the new bytes."""
    with reported(uri, "write"):
        place(uri).write(data)


def check_writable(folder: str) -> None:
    """Raise `StorageError` once, instead of once per row, if a folder cannot be written to."""
    probe = join(folder, ".amnst-writable")
    write_bytes(probe, b"")
    with contextlib.suppress(StorageError):  # a bucket may allow writing but not deleting
        delete(probe)


def create(uri: str, data: bytes) -> bool:
    """Create a file; return False if it already exists."""
    with reported(uri, "create"):
        return place(uri).create(data)


def delete(uri: str) -> None:
    """Delete a file, if it exists."""
    with reported(uri, "delete"), contextlib.suppress(FileNotFoundError):
        place(uri).delete()


def remove_empty_folder(uri: str) -> None:
    """Remove a folder, if it exists and is empty."""
    place(uri).remove_empty_folder()
