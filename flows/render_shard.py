"""Flow `render-shard`: some rows of a manifest become audio, in one process."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.catalog import CODE_VERSION, Catalog, Shard, open_catalog
from flows.pairs import UnderWay, render_pairs, settle
from flows.prefect_environment import refuse_pickles
from flows.progress import listener
from flows.settings import Settings
from nst_core.errors import NSTError
from nst_core.runtime import limit_blas
from tasks.caching import Workspace
from tasks.jobs import (
    RenderDefaults,
    find_finished,
    forget,
    inputs_of,
    needs_transfer,
    plan_job,
)
from tasks.mels import identify_inputs, identify_patiently
from tasks.model import load_model
from tasks.parts import ResultLog, is_over, report_run, result_log
from tasks.results import RowResult, Tally, cached, failure, not_run
from tasks.retry import patiently
from tasks.row import ManifestRow
from tasks.shards import ShardError
from tasks.upload import UploadJob

THREADS = 3
"""A transfer, and two pairs that are inverted or uploaded, side by side."""


@flow(
    name="render-shard",
    flow_run_name="{shard.title}",
    task_runner=ThreadPoolTaskRunner(max_workers=THREADS),  # type: ignore[arg-type]  # generic
    validate_parameters=True,
    persist_result=False,  # a completed run with a result could never be run again
)
def render_shard(shard: Shard) -> Any:
    """Render the rows of a shard; ends Failed if any of them failed."""
    refuse_pickles()
    workspace = Settings().workspace()
    catalog = _opened(shard, workspace)
    rows = catalog.rows[shard.first : shard.stop]
    with result_log(workspace) as log:
        try:
            render_rows(rows, catalog, workspace, log.add)
        finally:
            patiently(lambda: _tell(shard, log, workspace))
    return verdict(log.tally)


def _tell(shard: Shard, log: ResultLog, workspace: Workspace) -> None:
    log.publish(shard.catalog_run_id, shard.name)
    if is_over(workspace, shard.catalog_run_id):
        # The shard was retried alone: nobody else will tell of it.
        report_run(workspace, shard.catalog_run_id, shard.request.output)


def verdict(tally: Tally) -> Any:
    """The final state that follows from the count."""
    return (Failed if tally.n_bad else Completed)(message=tally.message())


def render_rows(
    rows: Sequence[ManifestRow],
    catalog: Catalog,
    workspace: Workspace,
    tell: Callable[[RowResult], None],
) -> None:
    """Render rows within a flow run; `tell` hears of every one, whatever happens."""
    limit_blas()
    under_way: UnderWay = deque()
    told: set[int] = set()

    def keep(result: RowResult) -> None:
        told.add(result.line)
        tell(result)

    try:
        for result in _results(rows, catalog, workspace, under_way):
            keep(result)
    finally:
        for result in settle(under_way, workspace):
            keep(result)
        for row in rows:
            if row.line not in told:
                keep(not_run(row))


def finished_results(
    rows: Sequence[ManifestRow],
    identities: dict[str, str | NSTError],
    defaults: RenderDefaults,
    workspace: Workspace,
) -> list[RowResult] | None:
    """The results of rows of which nothing is left to make; None if any is unfinished.

    The first unfinished row ends the search, so a fresh catalogue costs a look per shard.

    Parameters
    ----------
    identities
        What is known of the inputs; grows.
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


def _if_finished(row: ManifestRow, job: UploadJob, workspace: Workspace) -> RowResult | None:
    def look() -> RowResult | None:
        finished = find_finished(job, workspace)
        return cached(row, job, finished) if finished else None

    return patiently(look)


def _opened(shard: Shard, workspace: Workspace) -> Catalog:
    """The catalogue of a shard, if it still is the one that was cut."""
    if shard.code_version != CODE_VERSION:
        raise ShardError(
            f"{shard.title}: this worker has amnst {CODE_VERSION}, the catalogue was cut by "
            f"{shard.code_version}; install that version here and retry the shard",
            code="other_version",
        )
    catalog = patiently(lambda: open_catalog(shard.request, workspace))
    _check_unchanged(shard, "manifest", catalog.manifest.sha256, shard.manifest_sha256)
    _check_unchanged(shard, "model", catalog.model.sha256, shard.model_sha256)
    return catalog


def _check_unchanged(shard: Shard, name: str, found: str, meant: str) -> None:
    if found != meant:
        raise ShardError(
            f"{shard.title}: the {name} has the sha256 {found}, the catalogue was cut with "
            f"{meant}; retry the catalogue's run, which cuts it anew",
            code=f"other_{name}",
        )


def _results(
    rows: Sequence[ManifestRow], catalog: Catalog, workspace: Workspace, under_way: UnderWay
) -> Iterator[RowResult]:
    """Yield the result of every row as it comes."""
    listener().stage("check inputs")
    identities = identify_patiently(inputs_of(rows), str(workspace.scratch_root()))
    defaults = catalog.defaults
    force = catalog.request.force and flow_run.get_run_count() <= 1  # not again in a retry
    to_do: list[tuple[ManifestRow, UploadJob]] = []
    for row in rows:
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
    if patiently(lambda: needs_transfer(jobs, workspace)):
        load_model(catalog.model, workspace)
    listener().stage("render pairs")
    yield from render_pairs(to_do, workspace, under_way)
