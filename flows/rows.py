"""Render rows within a flow run, and report the result of each."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prefect.states import Completed, Failed

from flows.batch import Batch
from flows.pairs import UnderWay, render_pairs, settle
from flows.progress import listener
from flows.timing import timed
from flows.writing import while_held
from nst_core.errors import NSTError
from nst_core.runtime.threads import limit_blas
from tasks.finished import find_finished, forget, needs_transfer
from tasks.jobs.from_rows import RenderDefaults, inputs_of, plan_job
from tasks.jobs.identities import identify_inputs, identify_patiently
from tasks.jobs.pair import PairJob
from tasks.manifest.row import ManifestRow
from tasks.model import load_model
from tasks.report.results import RowResult, Tally, cached, failure, not_run
from tasks.running.retry import patiently
from tasks.running.workspace import Workspace

THREADS = 3
"""Concurrent tasks: one transfer, and two pairs that are inverted or uploaded."""


def verdict(tally: Tally) -> Any:
    """Return the final state, which depends on the counts."""
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


def finished_results(
    rows: Sequence[ManifestRow],
    identities: dict[str, str | NSTError],
    defaults: RenderDefaults,
    workspace: Workspace,
) -> list[RowResult] | None:
    """Return the results of rows that are all finished, or None if one is unfinished.

    The first unfinished row ends the search, so a new catalogue costs one check per shard.

    Parameters
    ----------
    identities
        Known sha256 of inputs, or reasons why they cannot be read; new ones are added.
    """
    results = []
    for row in rows:
        if unknown := [uri for uri in inputs_of([row]) if uri not in identities]:
            identities.update(identify_inputs(unknown, str(workspace.scratch_root())))
        job = plan_job(row, identities, defaults)
        result = None if isinstance(job, NSTError) else _if_finished(row, job, workspace)
        if result is None:
            return None
        results.append(result)
    return results


def _if_finished(row: ManifestRow, job: PairJob, workspace: Workspace) -> RowResult | None:
    def look() -> RowResult | None:
        finished = find_finished(job, workspace)
        return cached(row, job, finished) if finished else None

    return patiently(look)


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
        elif not force and (done := _if_finished(row, job, workspace)):
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
