"""What became of each row of a manifest, and the tally of all."""

import json
import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import shorten
from typing import Any, Literal

from nst_core.errors import NSTError
from tasks.blend import parts_of
from tasks.caching import Workspace
from tasks.files import scrub
from tasks.inputs import SEPARATOR
from tasks.invert import RenderJob
from tasks.jobs import Finished
from tasks.problems import RowProblem
from tasks.row import ManifestRow
from tasks.store import Record
from tasks.upload import UploadJob

Status = Literal["ok", "cached", "failed", "skipped", "invalid", "not_run"]

_BAD = ("failed", "invalid", "not_run")
_QUIET_DB = 0.1
"""Nobody hears less, and meters differ by as much."""
_NAMED = 20
_REASONS, _REASON_WIDTH = 3, 240
_KEPT = 200
"""Failures kept for a summary: tables are rows in the database of the UI."""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What became of one row.

    Attributes
    ----------
    status
        ``ok`` made now, ``cached`` found finished, ``failed``, ``skipped`` (disabled or
        not selected), ``invalid`` (refused by the manifest's rules), ``not_run``
        (interrupted before its end).
    stage
        The first stage that failed.
    facts
        Further columns: the inputs and, of what was made, levels, figures, timings, hashes.
    """

    line: int
    id: str
    status: Status
    stage: str = ""
    error_code: str = ""
    error: str = ""
    output: str = ""
    sha256: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(vars(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> "RowResult":
        """What `to_json` wrote."""
        return cls(**json.loads(line))


def failure(row: ManifestRow, stage: str, error: BaseException) -> RowResult:
    """The result of a row that an error ended."""
    code = error.code if isinstance(error, NSTError) else "internal"
    text = str(error) if isinstance(error, NSTError) else f"{type(error).__name__}: {error}"
    return RowResult(
        line=row.line,
        id=row.id,
        status="failed",
        stage=stage,
        error_code=code,
        error=scrub(text),
        facts=_given(row),
    )


def invalid(problems: Iterable[RowProblem]) -> list[RowResult]:
    """One result per row that the manifest's rules refuse, with all its problems."""
    by_line: dict[int, list[RowProblem]] = {}
    for problem in problems:
        by_line.setdefault(problem.line, []).append(problem)
    return [
        RowResult(
            line=line,
            id=group[0].id,
            status="invalid",
            stage="manifest",
            error_code=group[0].code,
            error="; ".join(str(problem) for problem in group),
            facts={name: scrub(cell) for name, cell in group[0].given.items()},
        )
        for line, group in by_line.items()
    ]


def skipped(rows: Iterable[ManifestRow]) -> Iterator[RowResult]:
    """The results of rows that are disabled or were not asked for."""
    for row in rows:
        yield RowResult(line=row.line, id=row.id, status="skipped", facts=_given(row))


def not_run(row: ManifestRow) -> RowResult:
    """The result of a row that an interruption left undone."""
    return RowResult(line=row.line, id=row.id, status="not_run", facts=_given(row))


def success(row: ManifestRow, job: UploadJob, workspace: Workspace, status: Status) -> RowResult:
    """The result of a row whose output is in place, with the figures of its record."""
    store, transfer = workspace.store, job.render.transfer
    audio = store.find(job.render.stage, job.render.key)
    if audio is None:
        raise LookupError(f"{job.row_id} was published and its record is gone")
    return _told(row, job, audio, store.find(transfer.stage, transfer.key), status)


def cached(row: ManifestRow, job: UploadJob, finished: Finished) -> RowResult:
    """The result of a row of which nothing was left to make."""
    return _told(row, job, finished.audio, finished.transfer, "cached")


def _told(
    row: ManifestRow, job: UploadJob, audio: Record, transfer: Record | None, status: Status
) -> RowResult:
    return RowResult(
        line=row.line,
        id=row.id,
        status=status,
        output=scrub(job.output_uri),
        sha256=audio.sha256,
        facts=_facts(row, job.render, audio, transfer),
    )


def _given(row: ManifestRow) -> dict[str, Any]:
    """What a row is made of, and the columns that pass through."""
    return {"ambience": scrub(str(row.ambience)), "music": scrub(row.music), **row.extra}


def _facts(
    row: ManifestRow, job: RenderJob, audio: Record, transfer: Record | None
) -> dict[str, Any]:
    neural = dict(transfer.meta) if transfer else {}
    figures = dict(audio.meta)
    return {
        **_given(row),
        "strength": job.transfer.config.strength,
        "start": job.transfer.config.start,
        "iterations": job.transfer.config.n_iterations,
        "seed": job.transfer.config.seed,
        **{name: value for name, value in figures.items() if name != "seconds"},
        **{name: value for name, value in neural.items() if name != "seconds"},
        "loudness_short_db": _short_db(job.output.loudness_lufs, figures),
        "transfer_seconds": neural.get("seconds"),
        "invert_seconds": figures.get("seconds"),
        "music_sha256": job.transfer.music.sha256,
        "ambience_sha256": SEPARATOR.join(
            part.sha256 for part, _ in parts_of(job.transfer.ambience)
        ),
        "model_sha256": job.transfer.model_sha256,
        "worker": f"{socket.gethostname()}:{os.getpid()}",
        "ended_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _short_db(asked_lufs: float | None, figures: Mapping[str, Any]) -> float | None:
    """How far a file stays below the loudness that was asked, where one was."""
    if asked_lufs is None:
        return None
    reached_lufs: float = figures["loudness_lufs"]
    return round(max(asked_lufs - reached_lufs, 0.0), 2)


class Tally:
    """What a summary says of results, in memory that does not grow with their number."""

    def __init__(self, results: Iterable[RowResult] = ()) -> None:
        self.counts: Counter[str] = Counter()
        self._n_quiet = 0
        self._failures: list[RowResult] = []
        self.workers: dict[str, WorkerTally] = {}
        for result in results:
            self.add(result)

    def add(self, result: RowResult) -> None:
        """Count one more."""
        self.counts[result.status] += 1
        self._n_quiet += (result.facts.get("loudness_short_db") or 0) > _QUIET_DB
        if result.status in _BAD and len(self._failures) < _KEPT:
            self._failures.append(result)
        if result.status == "ok":
            worker = str(result.facts.get("worker", ""))
            self.workers.setdefault(worker, WorkerTally()).add(result)

    @property
    def first_failures(self) -> list[RowResult]:
        """Rows without an output, by line; the first few hundred at most."""
        return sorted(self._failures, key=lambda result: result.line)

    @property
    def n_asked(self) -> int:
        """Rows that were to be rendered."""
        return self.counts.total() - self.counts["skipped"]

    @property
    def n_over(self) -> int:
        """Of those, the ones that nothing interrupted."""
        return self.n_asked - self.counts["not_run"]

    @property
    def n_bad(self) -> int:
        """Rows that were to be rendered and have no output."""
        return sum(self.counts[status] for status in _BAD)

    def sentence(self) -> str:
        """How many pairs failed and which, or that all are well."""
        done = f"{self.counts['ok']} rendered, {self.counts['cached']} already done"
        if self._n_quiet:
            done += f"; {self._n_quiet} quieter than asked, for their peaks (loudness_short_db)"
        if not self.n_bad:
            return f"{self.n_asked} pairs: {done}"
        named = ", ".join(map(_name, self.first_failures[:_NAMED]))
        more = f" and {self.n_bad - _NAMED} more" if self.n_bad > _NAMED else ""
        word = "failed" if not self.counts["not_run"] else "failed or were not run"
        return f"{self.n_bad} of {self.n_asked} pairs {word}: {named}{more}; {done}"

    def message(self) -> str:
        """The sentence, and below it why the first few failed."""
        told = [each for each in self.first_failures if each.error][:_REASONS]
        reasons = (shorten(f"{_name(r)}: {r.error}", _REASON_WIDTH) for r in told)
        return "\n- ".join([self.sentence(), *reasons])


def _name(result: RowResult) -> str:
    return result.id or f"line {result.line}"


@dataclass
class WorkerTally:
    """What one worker process has rendered, and when it ended the first and last pair."""

    n_pairs: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, result: RowResult) -> None:
        """Count one more."""
        self.n_pairs += 1
        if ended := result.facts.get("ended_at"):
            at = datetime.fromisoformat(ended)
            self.first = min(self.first or at, at)
            self.last = max(self.last or at, at)

    @property
    def pairs_per_minute(self) -> float | None:
        """From the end of the first to the end of the last; None for fewer than two."""
        if self.first is None or self.last is None or self.last <= self.first:
            return None
        return 60 * (self.n_pairs - 1) / (self.last - self.first).total_seconds()
