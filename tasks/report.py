"""The report: one row per manifest row, in its order, and nothing left out."""

import io
import os
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nst_core.errors import NSTError
from tasks.caching import Workspace
from tasks.files import join, publish, read_bytes, scrub
from tasks.invert import RenderJob
from tasks.problems import RowProblem
from tasks.row import ManifestRow
from tasks.store import Record, Store
from tasks.upload import UploadJob

Status = Literal["ok", "cached", "failed", "skipped", "invalid", "not_run"]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LISTED_FAILURES = 20


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
        Further columns: levels, figures, timings, hashes.
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


def failure(row: ManifestRow | RowProblem, stage: str, error: BaseException) -> RowResult:
    """The result of a row that an error ended."""
    code = error.code if isinstance(error, NSTError) else "internal"
    text = str(error) if isinstance(error, NSTError) else f"{type(error).__name__}: {error}"
    return RowResult(
        line=row.line, id=row.id, status="failed", stage=stage, error_code=code, error=scrub(text)
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
        )
        for line, group in by_line.items()
    ]


def skipped(rows: Iterable[ManifestRow]) -> list[RowResult]:
    """The results of rows that are disabled or were not asked for."""
    return [RowResult(line=row.line, id=row.id, status="skipped") for row in rows]


def success(row: ManifestRow, job: UploadJob, workspace: Workspace, status: Status) -> RowResult:
    """The result of a row whose output is in place, with the figures of its record."""
    record = workspace.store.find(job.render.stage, job.render.key)
    if record is None:
        raise LookupError(f"{job.row_id} was published and its record is gone")
    return RowResult(
        line=row.line,
        id=row.id,
        status=status,
        output=scrub(job.output_uri),
        sha256=record.sha256,
        facts=_facts(row, job.render, record, workspace.store),
    )


def _facts(row: ManifestRow, job: RenderJob, audio: Record, store: Store) -> dict[str, Any]:
    transfer = store.find(job.transfer.stage, job.transfer.key)
    neural = dict(transfer.meta) if transfer else {}
    figures = dict(audio.meta)
    return {
        "ambience": scrub(row.ambience),
        "music": scrub(row.music),
        "strength": job.transfer.config.strength,
        "start": job.transfer.config.start,
        "iterations": job.transfer.config.n_iterations,
        "seed": job.transfer.config.seed,
        **{name: value for name, value in figures.items() if name != "seconds"},
        **{name: value for name, value in neural.items() if name != "seconds"},
        "transfer_seconds": neural.get("seconds"),
        "invert_seconds": figures.get("seconds"),
        "music_sha256": job.transfer.music.sha256,
        "ambience_sha256": job.transfer.ambience.sha256,
        "model_sha256": job.transfer.model_sha256,
        "worker": f"{socket.gethostname()}:{os.getpid()}",
        **row.extra,
    }


def summarise(results: Sequence[RowResult]) -> str:
    """One sentence: how many pairs failed and which, or that all are well."""
    counts = Counter(result.status for result in results)
    asked = [r for r in results if r.status != "skipped"]
    bad = [r for r in asked if r.status in {"failed", "invalid", "not_run"}]
    done = f"{counts['ok']} rendered, {counts['cached']} already done"
    if not bad:
        return f"{len(asked)} pairs: {done}"
    named = ", ".join(r.id or f"line {r.line}" for r in bad[:_LISTED_FAILURES])
    more = f" and {len(bad) - _LISTED_FAILURES} more" if len(bad) > _LISTED_FAILURES else ""
    word = "failed" if not counts["not_run"] else "failed or were not run"
    return f"{len(bad)} of {len(asked)} pairs {word}: {named}{more}; {done}"


def all_well(results: Iterable[RowResult]) -> bool:
    """Say whether every row that was asked for has its output."""
    return all(result.status in {"ok", "cached", "skipped"} for result in results)


def write_report(
    results: Sequence[RowResult], workspace: Workspace, output_uri: str, *, run_id: str = ""
) -> str:
    """Write ``results.csv`` and ``results.parquet``; return where the CSV is.

    In the CSV a text that a spreadsheet would take for a formula gets a leading ``'``.
    """
    table = _table([_flat(r, run_id) for r in sorted(results, key=lambda r: r.line)])
    with workspace.scratch_folder() as folder:
        table.to_parquet(folder / "results.parquet", index=False)
        safe = table.map(lambda cell: _defused(cell) if isinstance(cell, str) else cell)
        safe.to_csv(folder / "results.csv", index=False, lineterminator="\n")
        for name in ("results.parquet", "results.csv"):
            publish(Path(folder, name), join(output_uri, name))
    return join(output_uri, "results.csv")


def _table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as columns of one type each; what a row lacks stays empty."""
    table = pd.DataFrame(rows, dtype=object)
    # A gap would turn a column of integers into floats: 22050.0 Hz.
    whole = [name for name in table if {type(cell) for cell in table[name].dropna()} == {int}]
    return table.astype(dict.fromkeys(whole, "Int64")).infer_objects()


def _flat(result: RowResult, run_id: str) -> dict[str, Any]:
    columns = asdict(result)
    facts = columns.pop("facts")
    return {**columns, **facts, "run_id": run_id}


def _defused(text: str) -> str:
    text = f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    # The CSV writer leaves a bare CR unquoted, and readers end the row there.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_report_lines(csv_uri: str) -> str:
    """A report as JSON lines, one per row, null where a row has no value.

    Taken from the Parquet file beside the CSV: only that one tells the id 007 from 7.
    """
    table = pd.read_parquet(io.BytesIO(read_bytes(csv_uri.removesuffix("csv") + "parquet")))
    lines: str = table.to_json(orient="records", lines=True)
    return lines
