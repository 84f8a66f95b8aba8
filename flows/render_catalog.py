"""Flow `render-catalog`: a manifest becomes audio and a report."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.catalog import Catalog, RenderRequest, open_catalog
from flows.dispatch import render_on_workers
from flows.prefect_environment import refuse_pickles
from flows.progress import listener
from flows.render_shard import THREADS, render_rows, verdict
from flows.settings import Settings
from flows.summary import CatalogPage
from tasks.caching import Workspace
from tasks.files import check_writable
from tasks.parts import CATALOG, ResultLog, forget_part, report_run, result_log
from tasks.report import write_report
from tasks.results import RowResult, invalid, skipped
from tasks.retry import patiently


@flow(
    name="render-catalog",
    flow_run_name="{request.title}",
    task_runner=ThreadPoolTaskRunner(max_workers=THREADS),  # type: ignore[arg-type]  # generic
    validate_parameters=True,
    persist_result=False,  # a completed run with a result could never be run again
)
def render_catalog(request: RenderRequest) -> Any:
    """Render the pairs of a manifest; ends Failed if any of them failed.

    The rows are rendered in this process, or, where the settings name a deployment for
    shards, by its workers.
    """
    refuse_pickles()
    settings, run_id = Settings(), str(flow_run.get_id())
    workspace, deployment = settings.workspace(), settings.shard_deployment
    listener().stage("read manifest")
    catalog = patiently(lambda: open_catalog(request, workspace))
    for folder in (workspace.store_uri, request.output):
        patiently(lambda: check_writable(folder))  # noqa: B023  # called at once
    refused = invalid(catalog.manifest.problems)
    n_pairs = len(refused) + len(catalog.rows)
    listener().pairs(n_pairs)
    page = CatalogPage(n_pairs, request, run_id)
    with result_log(workspace) as log:

        def tell(result: RowResult) -> None:
            log.add(result)
            page.show(log.tally)
            if result.status != "skipped":
                name = result.id or f"line {result.line}"
                listener().pair(name, result.status, result.error)

        try:
            for result in chain(refused, _left_out(catalog)):
                tell(result)
            if deployment:
                forget_part(workspace, run_id, CATALOG)
                render_on_workers(catalog, workspace, deployment, run_id, tell)
            else:
                render_rows(catalog.rows, catalog, workspace, tell)
        finally:
            listener().stage("write report")
            report = patiently(
                lambda: _report(log, workspace, request.output, run_id, shards=bool(deployment))
            )
            listener().ended(log.tally.sentence(), report)
        page.end(log.tally, report)
    return verdict(log.tally)


def _left_out(catalog: Catalog) -> Iterator[RowResult]:
    """The rows that are disabled or were not asked for."""
    chosen = {row.line for row in catalog.rows}
    return skipped(row for row in catalog.manifest.rows if row.line not in chosen)


def _report(
    log: ResultLog, workspace: Workspace, output_uri: str, run_id: str, *, shards: bool
) -> str:
    if not shards:
        return write_report(log, workspace, output_uri, run_id=run_id)
    log.publish(run_id, CATALOG)
    return report_run(workspace, run_id, output_uri)
