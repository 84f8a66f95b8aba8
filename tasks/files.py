"""Bytes at a path or ``s3://`` URI: read whole, appear whole, fail as `StorageError`.

URIs are plain strings and hold no credentials; those stay in the environment of each
process.
"""

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from nst_core.checksum import sha256_of
from nst_core.errors import NSTError
from tasks import s3

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EOPNOTSUPP}
_SECRETS = re.compile(r"(?<=://)[^/@\s]+@|(?<=[?&])X-Amz-[^\s\"']+", re.IGNORECASE)


def scrub(text: str) -> str:
    """Return a text without user:password and URL signatures."""
    return _SECRETS.sub("***", text)


class StorageError(NSTError):
    """Bytes that could not be read or written.

    Parameters
    ----------
    uri, operation, reason
        What was touched, what was tried and why it failed; secrets are removed.
    code
        ``storage``, ``not_found``, ``corrupt_artefact`` or ``bad_uri``.
    transient
        Whether the same call may succeed later: connections, timeouts, busy servers.
    """

    def __init__(
        self,
        uri: str,
        operation: str,
        reason: str,
        *,
        code: str = "storage",
        transient: bool = False,
    ) -> None:
        self.uri, self.operation, self.reason = scrub(uri), operation, scrub(reason)
        super().__init__(f"{self.uri}: cannot {operation}: {self.reason}", code=code)
        self.transient = transient


class Description(NamedTuple):
    """Size in bytes of a file, and the second of its last change where known."""

    size: int
    modified_s: float | None


class Entry(NamedTuple):
    """A file in a folder."""

    uri: str
    size: int
    modified_s: float | None


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of a local file; raises StorageError when it cannot be read."""
    with reported(str(path), "read"):
        return sha256_of(path)


def is_remote(uri: str) -> bool:
    """Say whether a URI is on S3; raises StorageError for a scheme we do not speak."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        return False
    if scheme != "s3":
        raise StorageError(uri, "use", "only local paths, file:// and s3:// work", code="bad_uri")
    if "@" in rest.partition("/")[0]:
        reason = "no credentials in a URI; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise StorageError(uri, "use", reason, code="bad_uri")
    return True


def local(uri: str) -> Path:
    """Return the path that a plain path or ``file://`` URI names."""
    return Path(local_text(uri))


def local_text(uri: str) -> str:
    """Return that path as text."""
    # Where ten thousand files are looked at, pathlib takes as long as the disk, and every name
    # that it has taken apart costs memory.
    return unquote(urlsplit(uri).path) if uri.startswith("file://") else uri


def absolute(uri: str) -> str:
    """Return a place as every process of this machine, or of any, would name it."""
    return uri if is_remote(uri) else str(local(uri).absolute())


def is_absent_here(uri: str) -> bool:
    """Say whether this process does not see a local place; buckets are not asked."""
    return not is_remote(uri) and not os.path.exists(local_text(uri))  # noqa: PTH110  # never raises


def join(root: str, *parts: str) -> str:
    """Return `root` with relative parts added; they cannot lead out of it."""
    for part in parts:
        if part.startswith("/") or ".." in part.split("/"):
            raise StorageError(part, "use", f"it leads out of {root}", code="bad_uri")
    return "/".join([root.rstrip("/"), *parts])


def describe(uri: str) -> Description | None:
    """Return size and age of a file, or None when there is none."""
    with reported(uri, "look up"):
        try:
            if not is_remote(uri):
                status = os.stat(local_text(uri))  # noqa: PTH116  # see local_text
                regular = stat.S_ISREG(status.st_mode)
                return Description(status.st_size, status.st_mtime) if regular else None
            info = s3.client().info(uri, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
    changed = info.get("LastModified")
    return (
        None
        if info["type"] != "file"
        else Description(info["size"], changed.timestamp() if changed else None)
    )


def list_files(folder: str) -> list[Entry]:
    """The files right in a folder or under a prefix, by name; none if it is not there.

    What is hidden, and so perhaps in the making, is left out.
    """
    with reported(folder, "list"):
        found = _listed_remote(folder) if is_remote(folder) else _listed_local(local(folder))
        return sorted(entry for entry in found if not entry.uri.rpartition("/")[2].startswith("."))


def _listed_remote(folder: str) -> Iterator[Entry]:
    try:
        infos = s3.client().ls(folder.rstrip("/"), detail=True, refresh=True)
    except FileNotFoundError:
        return
    for info in infos:
        if info["type"] == "file":
            changed = info.get("LastModified")
            modified_s = changed.timestamp() if changed else None
            yield Entry(f"s3://{info['name']}", info["size"], modified_s)


def _listed_local(folder: Path) -> Iterator[Entry]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # gone since it was listed
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield Entry(str(path), status.st_size, status.st_mtime)


def read_bytes(uri: str) -> bytes:
    """Return a whole small file; raises StorageError ``not_found`` and others."""
    data = read_if_present(uri)
    if data is None:
        raise StorageError(uri, "read", "there is no such file", code="not_found")
    return data


@contextlib.contextmanager
def fetch_input(uri: str, scratch_dir: Path) -> Iterator[Path]:
    """Yield a local path to a user's file: in place when local, else a passing download."""
    if not is_remote(uri):
        yield local(uri)
        return
    with reported(str(scratch_dir), "create"):
        scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="input-", dir=scratch_dir) as folder:
        path = Path(folder, PurePosixPath(uri).name)
        copy_to_local(uri, path)
        yield path


def publish(local_path: Path, uri: str) -> None:
    """Put a finished file at its place at once: readers see the old or the new bytes."""
    with reported(uri, "write"):
        if is_remote(uri):
            s3.client().put_file(str(local_path), uri)
            return
        target = local(uri)
        with beside(target) as temporary:
            with local_path.open("rb") as source:
                _write_synced(temporary, source)
            temporary.replace(target)
            _sync_folder(target.parent)


def check_writable(folder: str) -> None:
    """Raise `StorageError` now if nothing can be written in a folder, and not once per row."""
    probe = join(folder, ".amnst-writable")
    with tempfile.NamedTemporaryFile() as empty:
        publish(Path(empty.name), probe)
    with contextlib.suppress(StorageError):  # a bucket may let us write and not delete
        delete(probe)


def create(uri: str, data: bytes) -> bool:
    """Write a file that does not exist yet; False when it does."""
    with reported(uri, "create"):
        return s3.create(uri, data) if is_remote(uri) else _create_local(local(uri), data)


def _create_local(target: Path, data: bytes) -> bool:
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


def read_if_present(uri: str) -> bytes | None:
    """Return a whole small file, or None when there is none."""
    with reported(uri, "read"):
        try:
            if is_remote(uri):
                data: bytes = s3.client().cat_file(uri)
                return data
            with open(local_text(uri), "rb") as stream:  # noqa: PTH123  # see local_text
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None


def copy_to_local(uri: str, path: Path) -> None:
    """Copy a file to a local path, which is not there at once: a temporary one."""
    with reported(uri, "read"):
        if is_remote(uri):
            s3.client().get_file(uri, str(path))
        else:
            shutil.copyfile(local(uri), path)


def delete(uri: str) -> None:
    """Remove a file, if it is there."""
    with reported(uri, "delete"), contextlib.suppress(FileNotFoundError):
        if is_remote(uri):
            s3.client().rm_file(uri)
        else:
            local(uri).unlink()


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a hidden name in the same folder; what is left of it is removed."""
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


@contextlib.contextmanager
def reported(uri: str, operation: str) -> Iterator[None]:
    """Turn what a disk or server raises into a StorageError."""
    try:
        yield
    except (OSError, *s3.FAILURES) as error:
        raise StorageError(
            uri,
            operation,
            getattr(error, "strerror", None) or str(error) or type(error).__name__,
            code="not_found" if isinstance(error, FileNotFoundError) else "storage",
            transient=s3.is_passing(error),
        ) from error
