"""The artefacts' only home: a content-addressed store, local or ``s3://``.

::

    objects/<sha[:2]>/<sha>.<suffix>        immutable bytes, written first
    results/<stage>/<key[:2]>/<key>.json    record, create-only, written last

A result exists when its record does. What holds, whoever is killed and when:

- P1 no reader sees a partial artefact;
- P2 a visible result has exactly the bytes whose sha256 its record gives;
- P3 a killed process costs recomputation, nothing else;
- P4 one key never has two results (on a server that ignores If-None-Match the
  last record wins, still never a partial one);
- P5 a failed row never changes another row's output;
- P6 a full disk or a lost server is a `StorageError`, old results stay intact;
- P7 a finished batch run again finds every key and renders nothing.

URIs are plain strings. A `Store` holds its root and no more, so it can be
pickled and printed; credentials stay in the environment of each process.
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import io
import json
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeAlias
from urllib.parse import unquote, urlsplit

import aiohttp
import fsspec
from botocore import exceptions as boto  # type: ignore[import-untyped]  # has no types
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # has no types

from nst_core.errors import NSTError

logger = logging.getLogger(__name__)

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | None"

_LOST = (
    TimeoutError,
    ConnectionError,
    aiohttp.ClientError,
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    ResponseParserError,
)
_BUSY = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503"}
_PRESENT = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_S3_CONFIG = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "max_attempts": 4},
    "response_checksum_validation": "when_required",
    "s3": {"addressing_style": "path"},
}
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


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the store knows of one result; `meta` holds small JSON values only."""

    stage: str
    key: str
    sha256: str
    size: int
    suffix: str
    meta: Mapping[str, Json]

    def __post_init__(self) -> None:
        # A record is read from a place others may write to: its fields become paths.
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")
        if not re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", self.suffix):
            raise ValueError(f"suffix {self.suffix!r} is not like 'wav' or 'weights.h5'")

    @property
    def blob(self) -> str:
        """Path of the bytes, relative to the store's root."""
        return f"objects/{self.sha256[:2]}/{self.sha256}.{self.suffix}"

    def to_json(self) -> bytes:
        """Serialise; raises ValueError for NaN in `meta`."""
        fields = {"schema": 1, **dataclasses.asdict(self)}
        return json.dumps(fields, sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Record":
        """Parse; raises ValueError or TypeError for anything `to_json` did not write."""
        fields = json.loads(data)
        if not isinstance(fields, dict) or fields.pop("schema", None) != 1:
            raise ValueError("not a record of schema 1")
        return cls(**fields)


@dataclass(frozen=True)
class Store:
    """Results by key, bytes by content, under one local folder or ``s3://`` prefix."""

    root_uri: str

    def __post_init__(self) -> None:
        if not is_remote(self.root_uri):
            # A worker's current folder is not the one the store was named in.
            object.__setattr__(self, "root_uri", str(local(self.root_uri).absolute()))

    def find(self, stage: str, key: str) -> Record | None:
        """Return the result of `key`, or None when it must be computed.

        A record that is damaged, or whose bytes are gone or of another size, is
        deleted and counts as a miss.
        """
        data = _read(self._record_uri(stage, key))
        if data is None:
            return None
        try:
            record = Record.from_json(data)
            self._check(record, stage, key)
        except (ValueError, TypeError) as error:
            logger.warning("%s/%s is computed again: %s", stage, key, error)
            self.delete(stage, key)
            return None
        return record

    def exists(self, stage: str, key: str) -> bool:
        """Say whether `find` returns a record."""
        return self.find(stage, key) is not None

    def commit(
        self, stage: str, key: str, local_path: Path, suffix: str, meta: Mapping[str, Json]
    ) -> Record:
        """Store a finished file as the result of `key`; return the record that counts.

        When another process was first, its record is returned and ours is dropped:
        publish from the returned record, not from `local_path`.
        """
        digest, size = sha256_file(local_path), local_path.stat().st_size
        mine = Record(
            stage=stage, key=key, sha256=digest, size=size, suffix=suffix.lstrip("."), meta=meta
        )
        data = mine.to_json()
        for _ in range(3):
            # Written even when present: the bytes there may be what made `find` miss.
            publish(local_path, join(self.root_uri, mine.blob))
            if _create(self._record_uri(stage, key), data):
                return Record.from_json(data)
            winner = self.find(stage, key)
            if winner is not None:
                if winner.sha256 != digest:
                    logger.warning("two runs of %s/%s differ; the first one counts", stage, key)
                return winner
        raise StorageError(self._record_uri(stage, key), "commit", "it keeps being damaged")

    def fetch(self, record: Record, local_path: Path) -> Path:
        """Copy a result's verified bytes to `local_path`, atomically.

        Raises
        ------
        StorageError
            ``corrupt_artefact`` when size or sha256 differ; the record is deleted,
            so that the next run computes it again.
        """
        with _beside(local_path) as temporary:
            try:
                _get(join(self.root_uri, record.blob), temporary)
            except StorageError as error:
                if error.code != "not_found":
                    raise
                self._refuse(record)
            self._verify(record, temporary)
            with reported(str(local_path), "write"):
                temporary.replace(local_path)
        return local_path

    def fetch_bytes(self, record: Record) -> bytes:
        """Return a result's verified bytes; raises as `fetch`."""
        data = _read(join(self.root_uri, record.blob))
        if data is None or hashlib.sha256(data).hexdigest() != record.sha256:
            self._refuse(record)
        return data

    @contextlib.contextmanager
    def open_local(self, record: Record, *, scratch_dir: Path | None = None) -> Iterator[Path]:
        """Yield a local path to the verified bytes, for reading only.

        A local store yields the artefact itself, a remote one a download that is
        removed afterwards. Raises as `fetch`.
        """
        if is_remote(self.root_uri):
            with tempfile.TemporaryDirectory(prefix="artefact-", dir=scratch_dir) as folder:
                yield self.fetch(record, Path(folder, PurePosixPath(record.blob).name))
            return
        path = Path(join(self.root_uri, record.blob))
        self._verify(record, path)
        yield path

    def delete(self, stage: str, key: str) -> None:
        """Forget a result; its bytes stay, other keys may share them."""
        _delete(self._record_uri(stage, key))

    def _record_uri(self, stage: str, key: str) -> str:
        return join(self.root_uri, "results", stage, key[:2], f"{key}.json")

    def _check(self, record: Record, stage: str, key: str) -> None:
        if (record.stage, record.key) != (stage, key):
            raise ValueError("the record belongs to another key")
        found = describe(join(self.root_uri, record.blob))
        if found is None or found.size != record.size:
            raise ValueError("the artefact is missing or has another size")

    def _verify(self, record: Record, path: Path) -> None:
        if not path.is_file() or sha256_file(path) != record.sha256:
            self._refuse(record)

    def _refuse(self, record: Record) -> NoReturn:
        self.delete(record.stage, record.key)
        uri = join(self.root_uri, record.blob)
        reason = "it is missing or its bytes are not the recorded ones; run the stage again"
        raise StorageError(uri, "read", reason, code="corrupt_artefact")


def artefact_key(
    stage: str, version: str | int, parameters: Mapping[str, Any], inputs: Sequence[str]
) -> str:
    """Return the sha256 that names a result: of what decides its bytes, nothing else.

    Parameters
    ----------
    stage, version
        The stage's name and the version of its algorithm.
    parameters
        JSON values that change bytes; never a time, path or row id. NaN is a ValueError.
    inputs
        The sha256 of each input, in the stage's own order.
    """
    identity = {
        "stage": stage,
        "version": version,
        "parameters": dict(parameters),
        "inputs": list(inputs),
    }
    canonical = json.dumps(identity, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of a local file, in hexadecimal."""
    with reported(str(path), "read"), Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file://") else Path(uri)


def join(root: str, *parts: str) -> str:
    """Return `root` with relative parts added; they cannot lead out of it."""
    for part in parts:
        if PurePosixPath(part).is_absolute() or ".." in PurePosixPath(part).parts:
            raise StorageError(part, "use", f"it leads out of {root}", code="bad_uri")
    return "/".join([root.rstrip("/"), *parts])


def describe(uri: str) -> Description | None:
    """Return size and age of a file, or None when there is none."""
    with reported(uri, "look up"):
        try:
            if not is_remote(uri):
                status = local(uri).stat()
                regular = local(uri).is_file()
                return Description(status.st_size, status.st_mtime) if regular else None
            info = _s3(os.getpid()).info(uri, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
    changed = info.get("LastModified")
    return (
        None
        if info["type"] != "file"
        else Description(info["size"], changed.timestamp() if changed else None)
    )


def read_bytes(uri: str) -> bytes:
    """Return a whole small file; raises StorageError ``not_found`` and others."""
    data = _read(uri)
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
        _get(uri, path)
        yield path


def publish(local_path: Path, uri: str) -> None:
    """Put a finished file at its place at once: readers see the old or the new bytes."""
    with reported(uri, "write"):
        if is_remote(uri):
            _s3(os.getpid()).put_file(str(local_path), uri)
            return
        target = local(uri)
        with _beside(target) as temporary:
            with local_path.open("rb") as source:
                _write_synced(temporary, source)
            temporary.replace(target)
            _sync_folder(target.parent)


def _create(uri: str, data: bytes) -> bool:
    """Write a file that does not exist yet; False when it does."""
    with reported(uri, "create"):
        return _create_remote(uri, data) if is_remote(uri) else _create_local(local(uri), data)


def _create_remote(uri: str, data: bytes) -> bool:
    try:
        _s3(os.getpid()).pipe_file(uri, data, mode="create")
    except FileExistsError:
        return False
    except OSError as error:
        if _s3_code(error) in _PRESENT:
            return False
        raise
    return True


def _create_local(target: Path, data: bytes) -> bool:
    with _beside(target) as temporary:
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


def _read(uri: str) -> bytes | None:
    with reported(uri, "read"):
        try:
            if is_remote(uri):
                data: bytes = _s3(os.getpid()).cat_file(uri)
                return data
            return local(uri).read_bytes()
        except FileNotFoundError:
            return None


def _get(uri: str, path: Path) -> None:
    with reported(uri, "read"):
        if is_remote(uri):
            _s3(os.getpid()).get_file(uri, str(path))
        else:
            shutil.copyfile(local(uri), path)


def _delete(uri: str) -> None:
    with reported(uri, "delete"), contextlib.suppress(FileNotFoundError):
        if is_remote(uri):
            _s3(os.getpid()).rm_file(uri)
        else:
            local(uri).unlink()


@functools.lru_cache(maxsize=1)
def _s3(pid: int) -> Any:
    """Return this process's S3 filesystem: one inherited through fork does not work."""
    logger.debug("S3 filesystem of process %d", pid)
    filesystem = fsspec.filesystem(
        "s3",
        skip_instance_cache=True,
        use_listings_cache=False,
        config_kwargs=_S3_CONFIG,
    )
    # botocore retries already; both together wait 25 times for a server that is gone.
    filesystem.retries = 1
    return filesystem


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
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
    except (OSError, boto.BotoCoreError, boto.ClientError, *_LOST) as error:
        raise StorageError(
            uri,
            operation,
            getattr(error, "strerror", None) or str(error) or type(error).__name__,
            code="not_found" if isinstance(error, FileNotFoundError) else "storage",
            transient=isinstance(error, _LOST) or _s3_code(error) in _BUSY,
        ) from error


def _s3_code(error: BaseException) -> str | None:
    response = getattr(error.__cause__ or error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
