"""Result of each row of a manifest, and the tally of all results."""

import json
import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import shorten
from typing import Any, Literal

from nst_core.config import Strength, StrengthCurve, controls
from nst_core.errors import NSTError
from tasks.finished import Finished
from tasks.jobs.pair import PairJob, parts_of
from tasks.manifest.cells import SEPARATOR
from tasks.manifest.problems import RowProblem
from tasks.manifest.row import ManifestRow
from tasks.report.words import AS_MEANT
from tasks.running.workspace import Workspace
from tasks.storage.credentials import scrub
from tasks.storage.store import Record

Status = Literal["ok", "cached", "failed", "skipped", "invalid", "not_run"]

_FAILED = ("failed", "invalid")
_BAD = (*_FAILED, "not_run")
_QUIET_DB = 0.5
"""A file that is further below the requested loudness counts as too quiet."""
_NAMED = 20
_FEW = 5
"""Fewer pairs than this say nothing about a worker's speed."""
_REASONS, _REASON_WIDTH = 3, 240
_KEPT = 200
"""Number of failures kept for a summary, because the UI stores the table in its database."""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """Result of one row.

    Attributes
    ----------
    status
        ``ok`` (rendered now), ``cached`` (finished before), ``failed``, ``skipped``
        (disabled or not selected), ``invalid`` (breaks a rule of the manifest) or
        ``not_run`` (interrupted before its end).
    stage
        First stage that failed.
    facts
        Further columns: inputs; loudness, quality, timings and hashes of the output.
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
        """Return the result as one line."""
        return json.dumps(vars(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> "RowResult":
        """Read what `to_json` wrote."""
        return cls(**json.loads(line))


def failure(row: ManifestRow, stage: str, error: BaseException) -> RowResult:
    """Return the result of a row that failed with an error."""
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
    """Return one result per row that breaks the manifest's rules, with all its problems."""
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
            error=scrub("; ".join(str(problem) for problem in group)),
            facts={name: scrub(cell) for name, cell in group[0].given.items()},
        )
        for line, group in by_line.items()
    ]


def skipped(rows: Iterable[ManifestRow]) -> Iterator[RowResult]:
    """Yield the results of rows that are disabled or not selected."""
    for row in rows:
        yield RowResult(line=row.line, id=row.id, status="skipped", facts=_given(row))


def not_run(row: ManifestRow) -> RowResult:
    """Return the result of a row that was not finished because of an interruption."""
    return RowResult(line=row.line, id=row.id, status="not_run", facts=_given(row))


def success(row: ManifestRow, job: PairJob, workspace: Workspace, status: Status) -> RowResult:
    """Return the result of a row whose output is published, with the figures of its record."""
    audio = workspace.store.find(*job.audio)
    if audio is None:
        from tasks.running.caching import missing  # noqa: PLC0415  # Prefect takes a second

        raise missing(job.audio, workspace)
    return _told(row, job, audio, workspace.store.find(*job.transfer), status)


def cached(row: ManifestRow, job: PairJob, finished: Finished) -> RowResult:
    """Return the result of a row that was already finished."""
    return _told(row, job, finished.audio, finished.transfer, "cached")


def _told(
    row: ManifestRow, job: PairJob, audio: Record, transfer: Record | None, status: Status
) -> RowResult:
    return RowResult(
        line=row.line,
        id=row.id,
        status=status,
        output=scrub(job.output_uri),
        sha256=audio.sha256,
        facts=_facts(row, job, audio, transfer),
    )


def _given(row: ManifestRow) -> dict[str, Any]:
    """Return a row's inputs, and the columns that pass through to the report."""
    return {"ambience": scrub(str(row.ambience)), "music": scrub(row.music), **row.extra}


def _facts(
    row: ManifestRow, job: PairJob, audio: Record, transfer: Record | None
) -> dict[str, Any]:
    neural = dict(transfer.meta) if transfer else {}
    figures = dict(audio.meta)
    return {
        **_given(row),
        **_strength(job.strength, figures),
        "preset": job.preset,
        "start": job.config.start,
        "iterations": job.config.n_iterations,
        "seed": job.config.seed,
        **controls(job.config),
        "start_s": job.music.start_s,
        **{name: value for name, value in figures.items() if name != "seconds"},
        **{name: value for name, value in neural.items() if name != "seconds"},
        "loudness_short_db": _short_db(job.output.loudness_lufs, figures),
        "transfer_seconds": neural.get("seconds"),
        "invert_seconds": figures.get("seconds"),
        "music_sha256": job.music.sha256,
        "ambience_sha256": SEPARATOR.join(part.sha256 for part, _ in parts_of(job.ambience)),
        "model_sha256": job.model_sha256,
        "worker": f"{socket.gethostname()}:{os.getpid()}",
        "ended_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _strength(strength: Strength, figures: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(strength, str):
        return {"strength": strength}
    mean = StrengthCurve.of(strength).mean(figures["duration_s"])
    return {"strength": round(mean, 4), "strength_over_time": strength}


def _short_db(asked_lufs: float | None, figures: Mapping[str, Any]) -> float:
    """Return how far a file is below the requested loudness, by default that of its music."""
    wanted_lufs: float = figures["music_lufs"] if asked_lufs is None else asked_lufs
    reached_lufs: float = figures["loudness_lufs"]
    return round(max(wanted_lufs - reached_lufs, 0.0), 2)


class Tally:
    """Summary of results; its memory does not grow with their number."""

    def __init__(self, results: Iterable[RowResult] = ()) -> None:
        self.counts: Counter[str] = Counter()
        self._n_quiet = 0
        self._n_judged = 0
        self._n_doubtful = 0
        self._doubtful: list[str] = []
        self._failures: list[RowResult] = []
        self.workers: dict[str, WorkerTally] = {}
        for result in results:
            self.add(result)

    def add(self, result: RowResult) -> None:
        """Count one more result."""
        self.counts[result.status] += 1
        self._n_quiet += (result.facts.get("loudness_short_db") or 0) > _QUIET_DB
        if judged := result.facts.get("verdict"):
            self._n_judged += 1
            if judged != AS_MEANT:
                self._n_doubtful += 1
                self._doubtful = [*self._doubtful, _name(result)][:_NAMED]
        if result.status in _FAILED and len(self._failures) < _KEPT:
            self._failures.append(result)
        if result.status == "ok":
            worker = str(result.facts.get("worker", ""))
            self.workers.setdefault(worker, WorkerTally()).add(result)

    @property
    def first_failures(self) -> list[RowResult]:
        """Rows that failed or are invalid, by line; only the first two hundred are kept."""
        return sorted(self._failures, key=lambda result: result.line)

    @property
    def n_asked(self) -> int:
        """Number of rows that were selected for rendering."""
        return self.counts.total() - self.counts["skipped"]

    @property
    def n_over(self) -> int:
        """Number of selected rows that were not interrupted."""
        return self.n_asked - self.counts["not_run"]

    @property
    def n_bad(self) -> int:
        """Number of selected rows that have no output."""
        return sum(self.counts[status] for status in _BAD)

    @property
    def n_failed(self) -> int:
        """Number of selected rows that failed or are invalid."""
        return sum(self.counts[status] for status in _FAILED)

    def sentence(self) -> str:
        """Return a sentence that counts the pairs and names the failed ones."""
        done = f"{self.counts['ok']} rendered, {self.counts['cached']} already done"
        if self._n_quiet:
            done += f"; {self._n_quiet} quieter than they should be (loudness_short_db)"
        if not self.n_bad:
            return f"{self.n_asked} {'pair' if self.n_asked == 1 else 'pairs'}: {done}"
        return f"{'; '.join(self._without_output())}; {done}"

    def _without_output(self) -> Iterator[str]:
        """Yield what is said of the pairs that failed, and of those that were not run."""
        of_all = f"of {self.n_asked} pairs"
        if self.n_failed:
            named = ", ".join(map(_name, self.first_failures[:_NAMED]))
            more = f" and {self.n_failed - _NAMED} more" if self.n_failed > _NAMED else ""
            yield f"{self.n_failed} {of_all} failed: {named}{more}"
        if n_left := self.counts["not_run"]:
            yield f"{n_left} {of_all} not run"

    def impression(self) -> str:
        """Return a sentence that counts the results that sound as meant and names the others.

        Empty if no result has been judged.
        """
        if not self._n_judged:
            return ""
        counted = f"{self._n_judged - self._n_doubtful} of {self._n_judged} sound as meant"
        if not self._n_doubtful:
            return counted
        more = f" and {self._n_doubtful - _NAMED} more" if self._n_doubtful > _NAMED else ""
        return f"{counted}; listen to: {', '.join(sorted(self._doubtful))}{more}"

    def summary(self) -> str:
        """Return the sentence, and the impression on a second line if there is one."""
        return "\n".join(filter(None, (self.sentence(), self.impression())))

    def message(self) -> str:
        """Return the sentence, followed by the reasons of the first few failures."""
        told = [each for each in self.first_failures if each.error][:_REASONS]
        reasons = (shorten(f"{_name(r)}: {r.error}", _REASON_WIDTH) for r in told)
        return "\n- ".join([self.sentence(), *reasons])


def _name(result: RowResult) -> str:
    return result.id or f"line {result.line}"


@dataclass
class WorkerTally:
    """Number of pairs that one worker rendered, and the end times of the first and last."""

    n_pairs: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, result: RowResult) -> None:
        """Count one more result."""
        self.n_pairs += 1
        if ended := result.facts.get("ended_at"):
            at = datetime.fromisoformat(ended)
            self.first = min(self.first or at, at)
            self.last = max(self.last or at, at)

    @property
    def pairs_per_minute(self) -> float | None:
        """Speed from the end of the first pair to that of the last; None for a few pairs."""
        if self.n_pairs < _FEW or self.first is None or self.last is None:
            return None
        if self.last <= self.first:
            return None
        return 60 * (self.n_pairs - 1) / (self.last - self.first).total_seconds()
