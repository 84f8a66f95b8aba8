"""Render rows within a flow run, and report the result of each."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from prefect.states import Cancelled, Completed, Failed

from flows.batch import Batch
from flows.finished import if_finished
from flows.pairs import UnderWay, render_pairs, settle
from flows.progress import listener
from flows.timing import timed
from flows.writing import while_held
from nst_core.errors import NSTError
from nst_core.runtime.threads import limit_blas
from tasks.finished import forget, needs_transfer
from tasks.jobs.from_rows import inputs_of, plan_job
from tasks.jobs.identities import identify_patiently
from tasks.jobs.pair import PairJob
from tasks.manifest.row import ManifestRow
from tasks.model import load_model
from tasks.report.results import RowResult, Tally, failure, not_run
from tasks.running.retry import patiently
from tasks.running.workspace import Workspace

THREADS = 3
"""Concurrent tasks: one transfer, and two pairs that are inverted or uploaded."""


def verdict(tally: Tally, *, interrupted: bool = False) -> Any:
    """Return the final state, which depends on the counts; Cancelled after an interruption."""
    if interrupted:
        return Cancelled(message=tally.message())
    return (Failed if tally.n_bad else Completed)(message=tally.message())


def render_rows(batch: Batch, workspace: Workspace, tell: Callable[[RowResult], None]) -> None:
    """Render rows within a flow run; `tell` is called once for every row, even on an error."""
    limit_blas()
    under_way: UnderWay = deque()
    told: set[int] = set()

    def keep(result: RowResult) -> None:
        told.add(result.line)
        tell(result)

    try:
        for result in _results(batch, workspace, under_way):
            keep(result)
    finally:
        for result in settle(under_way, workspace):
            keep(result)
        for row in batch.rows:
            if row.line not in told:
                keep(not_run(row))


def _results(batch: Batch, workspace: Workspace, under_way: UnderWay) -> Iterator[RowResult]:
    """Yield the result of every row when it is known."""
    listener().stage("check inputs")
    identities = identify_patiently(inputs_of(batch.rows), str(workspace.scratch_root()))
    defaults, force = batch.defaults(), batch.is_forced()
    to_do: list[tuple[ManifestRow, PairJob]] = []
    for row in batch.rows:
        job = plan_job(row, identities, defaults)
        if isinstance(job, NSTError):
            yield failure(row, "inputs", job)
        elif not force and (done := if_finished(row, job, workspace)):
            yield done
        else:
            to_do.append((row, job))
    jobs = [job for _, job in to_do]
    if force:
        patiently(lambda: forget(jobs, workspace))
    with_network = [job for job in jobs if job.config.uses_network]
    if patiently(lambda: needs_transfer(with_network, workspace)):
        load_model(batch.model, workspace)
    listener().stage("render pairs")
    results = render_pairs(while_held(to_do, batch), workspace, under_way)
    yield from timed(results, {row.line: job for row, job in to_do}, workspace)
