"""Results on their way to the report: each process of a run writes its own part.

::

    runs/<run id>/catalog.jsonl         what the catalogue's own run found out; written last
    runs/<run id>/shard-000000.jsonl    what a shard's run found out
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TextIO

from tasks.caching import Workspace
from tasks.files import (
    Entry,
    StorageError,
    copy_to_local,
    delete,
    describe,
    join,
    list_files,
    publish,
)
from tasks.report import write_report
from tasks.results import RowResult, Tally

CATALOG = "catalog"
"""Name of the part without which a run is not over."""


class ResultLog:
    """Results of one process, on disk until they are published; see `result_log`."""

    def __init__(self, path: Path, stream: TextIO, workspace: Workspace) -> None:
        self.tally = Tally()
        self._path, self._stream, self._workspace = path, stream, workspace

    def add(self, result: RowResult) -> None:
        """Keep one more."""
        self.tally.add(result)
        self._stream.write(f"{result.to_json()}\n")

    def __iter__(self) -> Iterator[RowResult]:
        self._stream.flush()
        with self._path.open(encoding="utf-8") as stream:
            yield from map(RowResult.from_json, stream)

    def publish(self, run_id: str, name: str) -> None:
        """Put the results in their place, whole; a former part of this name is gone."""
        self._stream.flush()
        publish(self._path, _uri(self._workspace, run_id, name))


@contextmanager
def result_log(workspace: Workspace) -> Iterator[ResultLog]:
    """A log that is gone afterwards; what was published stays."""
    with workspace.scratch_folder() as folder:
        path = folder / "part.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            yield ResultLog(path, stream, workspace)


def read_part(workspace: Workspace, run_id: str, name: str) -> Iterator[RowResult]:
    """The results of a part, none if it is not there; one at a time, as it may be large."""
    with workspace.scratch_folder() as folder:
        path = folder / "part.jsonl"
        try:
            copy_to_local(_uri(workspace, run_id, name), path)
        except StorageError as error:
            if error.code != "not_found":
                raise
            return
        with path.open("rb") as stream:
            yield from map(RowResult.from_json, stream)


def forget_part(workspace: Workspace, run_id: str, name: str) -> None:
    """Remove a part, if it is there."""
    delete(_uri(workspace, run_id, name))


def is_over(workspace: Workspace, run_id: str) -> bool:
    """Say whether the catalogue's own run has ended."""
    return describe(_uri(workspace, run_id, CATALOG)) is not None


def report_run(workspace: Workspace, run_id: str, output_uri: str) -> str:
    """Write the report of all parts; return where it is.

    Two shards that are repaired at once both write it: whoever finds that a part has
    changed meanwhile writes it again.
    """
    while True:
        before = _parts(workspace, run_id)
        report = write_report(_all(workspace, run_id, before), workspace, output_uri, run_id=run_id)
        if _parts(workspace, run_id) == before:
            return report


def _all(workspace: Workspace, run_id: str, parts: Iterable[Entry]) -> Iterator[RowResult]:
    """The catalogue's own part first: a shard knows its rows better."""
    names = [PurePosixPath(entry.uri).stem for entry in parts]
    for name in sorted(names, key=lambda name: (name != CATALOG, name)):
        yield from read_part(workspace, run_id, name)


def _parts(workspace: Workspace, run_id: str) -> list[Entry]:
    return list_files(_folder(workspace, run_id))


def _uri(workspace: Workspace, run_id: str, name: str) -> str:
    return join(_folder(workspace, run_id), f"{name}.jsonl")


def _folder(workspace: Workspace, run_id: str) -> str:
    if not re.fullmatch(r"[0-9a-zA-Z-]{1,64}", run_id):
        raise ValueError(f"run id {run_id!r} is no name of a folder")
    return join(workspace.store.root_uri, "runs", run_id)
