"""Partial results: each process of a run writes its own part, and the report joins them.

::

    runs/<run id>/catalog.jsonl         results from the catalogue's own run; written last
    runs/<run id>/shard-000000.jsonl    results from a shard's run

The same folder contains the rows of the shards: `tasks.manifest.shard_rows`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TextIO

from tasks.jobs.listen import DEFAULT_INPUTS, Inputs
from tasks.report.results import RowResult, Tally
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import copy_to_local, delete, describe, list_files, publish
from tasks.storage.places import Entry

CATALOG = "catalog"
"""Name of the catalogue's own part; when it exists, the run is over."""
_SUFFIX = ".jsonl"


class ResultLog:
    """Results of one process, kept on disk until they are published; see `result_log`."""

    def __init__(self, path: Path, stream: TextIO, workspace: Workspace) -> None:
        self.tally = Tally()
        self._path, self._stream, self._workspace = path, stream, workspace

    def add(self, result: RowResult) -> None:
        """Add a result."""
        self.tally.add(result)
        self._stream.write(f"{result.to_json()}\n")

    def __iter__(self) -> Iterator[RowResult]:
        self._stream.flush()
        with self._path.open(encoding="utf-8") as stream:
            yield from map(RowResult.from_json, stream)

    def publish(self, run_id: str, name: str) -> None:
        """Publish the results as one file, replacing an earlier part of this name."""
        self._stream.flush()
        publish(self._path, _uri(self._workspace, run_id, name))


@contextmanager
def result_log(workspace: Workspace) -> Iterator[ResultLog]:
    """Yield a log and delete it afterwards; published results stay."""
    with workspace.scratch_folder() as folder:
        path = folder / "part.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            yield ResultLog(path, stream, workspace)


def read_part(workspace: Workspace, run_id: str, name: str) -> Iterator[RowResult]:
    """Yield the results of a part, or none if it does not exist.

    A part may be too large to load at once.
    """
    with workspace.scratch_folder() as folder:
        path = folder / "part.jsonl"
        try:
            copy_to_local(_uri(workspace, run_id, name), path)
        except StorageError as error:
            if error.code != "not_found":
                raise
            return
        try:
            with path.open("rb") as stream:
                yield from map(RowResult.from_json, stream)
        except (ValueError, TypeError) as error:
            uri, reason = _uri(workspace, run_id, name), f"it is damaged ({error}); retry the run"
            raise StorageError(uri, "read", reason, code="corrupt_artefact") from error


def forget_part(workspace: Workspace, run_id: str, name: str) -> None:
    """Delete a part, if it exists."""
    delete(_uri(workspace, run_id, name))


def is_over(workspace: Workspace, run_id: str) -> bool:
    """Return whether the catalogue's own run has ended."""
    return describe(_uri(workspace, run_id, CATALOG)) is not None


def report_run(
    workspace: Workspace,
    run_id: str,
    output_uri: str,
    *,
    inputs: Inputs = DEFAULT_INPUTS,
    before: Callable[[], None] = lambda: None,
) -> str:
    """Write the report of all parts, and its listening page; return the place of the report.

    Two shards that are retried at once both write it: if a part has changed in the meantime,
    the report is written again. `before` is as for `tasks.report.tables.write_report`.
    """
    from tasks.report.page.writing import write_report_and_page  # noqa: PLC0415  # pandas is slow

    while True:
        parts = _parts(workspace, run_id)
        report = write_report_and_page(
            _all(workspace, run_id, parts),
            workspace,
            output_uri,
            run_id=run_id,
            inputs=inputs,
            before=before,
        )
        if _parts(workspace, run_id) == parts:
            return report


def tally_so_far(workspace: Workspace, run_id: str) -> Tally:
    """Return the tally of the results until now; of two results of a line, the later one counts."""
    parts = _parts(workspace, run_id)
    last = {result.line: n for n, result in enumerate(_all(workspace, run_id, parts))}
    results = enumerate(_all(workspace, run_id, parts))
    return Tally(result for n, result in results if last.get(result.line) == n)


def results_so_far(workspace: Workspace, run_id: str) -> Iterator[RowResult]:
    """Yield the results that the processes of a run have published until now."""
    return _all(workspace, run_id, _parts(workspace, run_id))


def _all(workspace: Workspace, run_id: str, parts: Iterable[Entry]) -> Iterator[RowResult]:
    """Yield all results, the catalogue's first: later results win, and a shard knows its rows."""
    names = [PurePosixPath(entry.uri).stem for entry in parts]
    for name in sorted(names, key=lambda name: (name != CATALOG, name)):
        yield from read_part(workspace, run_id, name)


def _parts(workspace: Workspace, run_id: str) -> list[Entry]:
    files = list_files(workspace.run_file(run_id))
    return [entry for entry in files if entry.uri.endswith(_SUFFIX)]


def _uri(workspace: Workspace, run_id: str, name: str) -> str:
    return workspace.run_file(run_id, f"{name}{_SUFFIX}")
