"""Find out which of the store's promises hold at a place, by writing there.

Not every server with an S3 interface behaves like S3. The promises are those of
`tasks.storage.store`; the files are written to a folder of their own, which is removed.
"""

import base64
import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.storage import s3
from tasks.storage.errors import StorageError, reported
from tasks.storage.files import create, delete, list_files, publish, read_bytes, read_if_present
from tasks.storage.store import PROMISES, Store
from tasks.storage.uris import is_remote, join, local

_WRITERS = 8
_ROUNDS = 12
_SIZE = 200_000


@dataclass(frozen=True)
class Promise:
    """A promise of the store, whether it holds here, and what was observed.

    Attributes
    ----------
    holds
        None if it was not tested.
    """

    name: str
    claim: str
    holds: bool | None
    seen: str


@dataclass(frozen=True)
class Probe:
    """Findings at a place; `remarks` are not broken promises."""

    uri: str
    promises: tuple[Promise, ...]
    remarks: tuple[str, ...]

    @property
    def broken(self) -> tuple[Promise, ...]:
        """Promises that do not hold."""
        return tuple(promise for promise in self.promises if promise.holds is False)


def probe_store(root_uri: str) -> Probe:
    """Test a store's place with small files, for some seconds.

    Raises
    ------
    StorageError
        The place cannot be written to or read at all.
    """
    folder = join(Store(root_uri).root_uri, f".probe-{uuid.uuid4().hex}")
    tries = {
        "P1": _replaces_whole,
        "P2": _gives_back,
        "P3": _shows_at_once,
        "P4": _creates_once,
        "P5": _keeps_apart,
        "P6": _not_tried,
        "P7": _finds_again,
    }
    with _cleared(folder), ThreadPoolExecutor(_WRITERS) as pool:
        promises = tuple(
            Promise(name, claim, *tries[name](join(folder, name), pool))
            for name, claim in PROMISES.items()
        )
        remarks = tuple(_remarks(folder))
    return Probe(root_uri, promises, remarks)


def _replaces_whole(folder: str, pool: ThreadPoolExecutor) -> tuple[bool, str]:
    """Read a file repeatedly while it is replaced."""
    uri, contents = join(folder, "file"), [os.urandom(_SIZE) for _ in range(2)]
    _write(uri, contents[0])

    def replace() -> None:
        for number in range(_ROUNDS):
            _write(uri, contents[number % 2])

    writing, n_torn, n_refused = pool.submit(replace), 0, 0
    while not writing.done():
        try:
            n_torn += read_bytes(uri) not in contents
        except StorageError as error:
            if not error.transient:
                raise
            n_refused += 1  # harmless: the reader notices and retries
    writing.result()
    seen = f"{n_torn} torn and {n_refused} refused reads"
    return not n_torn, f"{seen} while a file was replaced {_ROUNDS} times"


def _gives_back(folder: str, _pool: ThreadPoolExecutor) -> tuple[bool, str]:
    uri, content = join(folder, "file"), os.urandom(_SIZE)
    _write(uri, content)
    same = _sha256(read_bytes(uri)) == _sha256(content)
    return same, f"{_SIZE} bytes came back {'with the same sha256' if same else 'changed'}"


def _shows_at_once(folder: str, _pool: ThreadPoolExecutor) -> tuple[bool, str]:
    """Check that a written file is readable and listed at once, and a deleted one is not."""
    late = 0
    for number in range(_ROUNDS):
        uri = join(folder, f"{number}")
        create(uri, b"record")
        late += read_if_present(uri) != b"record"
        late += uri.rpartition("/")[2] not in _names(folder)
        delete(uri)
        late += read_if_present(uri) is not None
    return not late, f"{late} of {3 * _ROUNDS} reads did not show the last write"


def _creates_once(folder: str, pool: ThreadPoolExecutor) -> tuple[bool, str]:
    """Create one file from many threads at once."""
    uri, contents = join(folder, "record"), [b"writer %d" % n for n in range(_WRITERS)]
    made = list(pool.map(lambda content: create(uri, content), contents))
    winners = [content for content, won in zip(contents, made, strict=True) if won]
    if len(winners) != 1:
        return False, f"{len(winners)} of {_WRITERS} writers created the same file: the last wins"
    kept = read_bytes(uri) == winners[0]
    fate = "are kept" if kept else "are lost"
    return kept, f"1 of {_WRITERS} writers created the file, its bytes {fate}"


def _keeps_apart(folder: str, pool: ThreadPoolExecutor) -> tuple[bool, str]:
    contents = {join(folder, f"{n}.wav"): os.urandom(_SIZE // 10) for n in range(_WRITERS)}
    list(pool.map(_write, contents, contents.values()))
    n_wrong = sum(read_bytes(uri) != content for uri, content in contents.items())
    return not n_wrong, f"{n_wrong} of {_WRITERS} files written at once have wrong contents"


def _not_tried(_folder: str, _pool: ThreadPoolExecutor) -> tuple[None, str]:
    return None, "not tested: the probe breaks nothing on purpose"


def _finds_again(folder: str, _pool: ThreadPoolExecutor) -> tuple[bool, str]:
    """Commit a result as a stage does, and find it."""
    store, key = Store(folder), _sha256(folder.encode())
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "artefact")
        path.write_bytes(b"result")
        record = store.commit("probe", key, path, "bin", {})
    same = store.find("probe", key) == record and store.fetch_bytes(record) == b"result"
    return same, f"a finished result is {'found again' if same else 'not found'}"


def _remarks(folder: str) -> Iterator[str]:
    if is_remote(folder) and _takes_damaged(join(folder, "damaged")):
        yield (
            "the server stores uploads with a wrong checksum: damage during an upload is only "
            "found by the next reader, and the result is computed again"
        )


def _takes_damaged(uri: str) -> bool:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    try:
        s3.client().call_s3("put_object", Bucket=bucket, Key=key, Body=b"x", ChecksumSHA256=wrong)
    except s3.failures():
        return False
    return True


def _names(folder: str) -> set[str]:
    return {entry.uri.rpartition("/")[2] for entry in list_files(folder)}


def _write(uri: str, content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        publish(Path(file.name), uri)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def _cleared(folder: str) -> Iterator[None]:
    try:
        yield
    except StorageError:
        with contextlib.suppress(StorageError):  # the first failure is more informative
            _clear(folder)
        raise
    _clear(folder)


def _clear(folder: str) -> None:
    with reported(folder, "clear"), contextlib.suppress(FileNotFoundError):
        if is_remote(folder):
            s3.client().rm(folder, recursive=True)
        else:
            shutil.rmtree(local(folder))
