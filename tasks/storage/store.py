"""Content-addressed store of all artefacts, local or ``s3://``.

::

    objects/<sha[:2]>/<sha>.<suffix>        immutable bytes, written first
    results/<stage>/<key[:2]>/<key>.json    record, create-only, written last

A result exists if its record exists. `PROMISES` lists what holds whichever process is killed,
and whenever. A `Store` consists of its root only, so it can be pickled and printed.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeAlias

from tasks.storage.errors import LostArtefactError, StorageError, reported
from tasks.storage.files import (
    copy_to_local,
    create,
    delete,
    describe,
    publish,
    read_if_present,
    sha256_file,
)
from tasks.storage.places import beside
from tasks.storage.seal import parsed, sealed, unsealed
from tasks.storage.uris import absolute, is_remote, join

logger = logging.getLogger(__name__)

PROMISES = {
    "P1": "no reader sees a partial artefact",
    "P2": "a visible result has the bytes whose sha256 its record names",
    "P3": "a killed process costs only recomputation",
    # A server that ignores If-None-Match keeps the last record, but still never a partial one.
    "P4": "one key never has two results",
    "P5": "a failed row never changes another row's output",
    "P6": "a full disk or lost server is a clear error, and old results stay intact",
    "P7": "a finished batch renders nothing when it runs again",
}
"""Guarantees of the store; tasks/storage/probe.py tests them at a place."""

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | None"


@dataclass(frozen=True, kw_only=True)
class Record:
    """Record of one result; `meta` contains only small JSON values."""

    stage: str
    key: str
    sha256: str
    size: int
    suffix: str
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        # Others may be able to write records, and the fields become paths.
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")
        if not re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", self.suffix):
            raise ValueError(f"suffix {self.suffix!r} is not like 'wav' or 'weights.h5'")
        if not isinstance(self.meta, Mapping):
            raise TypeError("meta is not a JSON object")

    @property
    def blob(self) -> str:
        """Path of the bytes, relative to the store's root."""
        return f"objects/{self.sha256[:2]}/{self.sha256}.{self.suffix}"

    def to_json(self) -> bytes:
        """Serialise with a seal; raise ValueError for NaN in `meta`."""
        fields = sealed({"schema": 2, **dataclasses.asdict(self)})
        return json.dumps(fields, sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Record":
        """Parse; raise ValueError or TypeError for anything that `to_json` did not write."""
        fields = parsed(data)
        if fields.get("schema") != 1:  # records of version 0.1.0, which have no seal
            fields = unsealed(fields)
        if fields.pop("schema", None) not in {1, 2}:
            raise ValueError("not a record of schema 1 or 2")
        return cls(**fields)


@dataclass(frozen=True)
class Store:
    """Results by key, bytes by content, under one local folder or ``s3://`` prefix."""

    root_uri: str

    def __post_init__(self) -> None:
        # The store may be named in another current folder than that of the worker.
        object.__setattr__(self, "root_uri", absolute(self.root_uri))

    def find(self, stage: str, key: str) -> Record | None:
        """Return the result of `key`, or None if it must be computed.

        A record that is damaged, or whose bytes are missing or have another size, is
        deleted and counts as a miss.
        """
        data = read_if_present(self._record_uri(stage, key))
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
        """Return whether `find` returns a record."""
        return self.find(stage, key) is not None

    def commit(
        self, stage: str, key: str, local_path: Path, suffix: str, meta: Mapping[str, Json]
    ) -> Record:
        """Store a finished file as the result of `key`; return the record that counts.

        If another process was first, its record is returned and ours is dropped, so
        publish from the returned record and not from `local_path`.
        """
        digest, size = sha256_file(local_path), local_path.stat().st_size
        mine = Record(
            stage=stage, key=key, sha256=digest, size=size, suffix=suffix.lstrip("."), meta=meta
        )
        data = mine.to_json()
        for _ in range(3):
            # Write even if present: damaged bytes may be the reason why `find` missed.
            publish(local_path, join(self.root_uri, mine.blob))
            if create(self._record_uri(stage, key), data):
                return Record.from_json(data)
            winner = self.find(stage, key)
            if winner is not None:
                if winner.sha256 != digest:
                    logger.warning("two runs of %s/%s differ; the first one counts", stage, key)
                return winner
        raise StorageError(
            self._record_uri(stage, key), "commit", "its record or its bytes are damaged each time"
        )

    def fetch(self, record: Record, local_path: Path) -> Path:
        """Copy a result's verified bytes to `local_path`, atomically.

        Raises
        ------
        LostArtefactError
            ``corrupt_artefact`` if size or sha256 differ; the record is then deleted,
            so that the next run computes the result again.
        """
        with beside(local_path) as temporary:
            try:
                copy_to_local(join(self.root_uri, record.blob), temporary)
            except StorageError as error:
                if error.code != "not_found":
                    raise
                self._refuse(record)
            self._verify(record, temporary)
            with reported(str(local_path), "write"):
                temporary.replace(local_path)
        return local_path

    def fetch_bytes(self, record: Record) -> bytes:
        """Return a result's verified bytes; raise the errors of `fetch`."""
        data = read_if_present(join(self.root_uri, record.blob))
        if data is None or hashlib.sha256(data).hexdigest() != record.sha256:
            self._refuse(record)
        return data

    @contextlib.contextmanager
    def open_local(self, record: Record, *, scratch_dir: Path | None = None) -> Iterator[Path]:
        """Yield a local path to the verified bytes, for reading only.

        A local store yields the artefact itself, a remote one a download that is
        removed afterwards. Raises the errors of `fetch`.
        """
        if is_remote(self.root_uri):
            with tempfile.TemporaryDirectory(prefix="artefact-", dir=scratch_dir) as folder:
                yield self.fetch(record, Path(folder, PurePosixPath(record.blob).name))
            return
        path = Path(join(self.root_uri, record.blob))
        self._verify(record, path)
        yield path

    def delete(self, stage: str, key: str) -> None:
        """Forget a result, but keep its bytes, because other keys may share them."""
        delete(self._record_uri(stage, key))

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
        reason = "it is missing or its bytes differ from the recorded ones; run the stage again"
        raise LostArtefactError(uri, "read", reason, code="corrupt_artefact")
