"""Flow `render-catalog`: turn a manifest into audio and a report."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Cancelled
from prefect.task_runners import ThreadPoolTaskRunner

from flows.album import as_album
from flows.catalog import open_catalog
from flows.dispatch import render_on_workers
from flows.meanwhile import MeanwhilePage
from flows.progress import listener
from flows.requests import RenderRequest
from flows.rows import THREADS, render_rows, verdict
from flows.server.environment import refuse_pickles
from flows.server.expected_errors import leave_tracebacks_out
from flows.settings import Settings
from flows.summary import CatalogPage
from flows.writing import writing
from tasks.report.page.writing import write_report_and_page
from tasks.report.parts import CATALOG, ResultLog, forget_part, report_run, result_log
from tasks.report.results import RowResult
from tasks.running.retry import patiently
from tasks.running.workspace import Workspace
from tasks.storage.files import check_writable
from tasks.storage.lease import Claim


@flow(
    name="render-catalog",
    flow_run_name="{request.title}",
    task_runner=ThreadPoolTaskRunner(max_workers=THREADS),  # type: ignore[arg-type]  # generic
    validate_parameters=True,
    persist_result=False,  # Prefect never runs a completed run again if it has a stored result
)
def render_catalog(request: RenderRequest) -> Any:
    """Render the pairs of a manifest; end as Failed if a pair failed.

    The rows are rendered in this process or, if the settings name a deployment for shards, by
    its workers. Ctrl-C ends a run in this process as Cancelled.
    """
    refuse_pickles()
    leave_tracebacks_out()
    settings, run_id = Settings(), str(flow_run.get_id())
    workspace, deployment = settings.workspace(), settings.shard_deployment
    try:
        catalog = as_album(patiently(open_catalog, request, workspace), workspace)
        for folder in (workspace.store_uri, request.output):
            patiently(check_writable, folder)
    except KeyboardInterrupt:
        return Cancelled(message="interrupted before the first pair")
    listener().pairs(catalog.n_asked)
    page = CatalogPage(catalog.n_asked, request)
    with (
        result_log(workspace) as log,
        writing(catalog, run_id, shared=bool(deployment)) as (catalog, lease),
    ):
        meanwhile = MeanwhilePage(
            workspace, request, run_id, n_asked=catalog.n_asked, before=lease.claim.check
        )

        def tell(result: RowResult) -> None:
            log.add(result)
            page.show(log.tally)
            meanwhile.show(log)
            if result.status != "skipped":
                name = result.id or f"line {result.line}"
                listener().pair(name, result.status, result.error)

        interrupted = False
        try:
            for result in catalog.results_without_rendering():
                tell(result)
            if deployment:
                forget_part(workspace, run_id, CATALOG)
                render_on_workers(catalog, workspace, deployment, run_id, tell)
                lease.forget_others()
            else:
                render_rows(catalog, workspace, tell)
        except KeyboardInterrupt:
            if deployment:  # its shards continue
                raise
            interrupted = True
        finally:
            listener().stage("write report")
            report = patiently(
                lambda: _report(
                    log, workspace, request, run_id, lease.claim, shards=bool(deployment)
                )
            )
            listener().ended(log.tally.summary(), report)
        page.end(log.tally, report)
    return verdict(log.tally, interrupted=interrupted)


def _report(
    log: ResultLog,
    workspace: Workspace,
    request: RenderRequest,
    run_id: str,
    claim: Claim,
    *,
    shards: bool,
) -> str:
    output_uri = claim.folder_uri
    if not shards:
        return write_report_and_page(
            log, workspace, output_uri, run_id=run_id, inputs=request.listen, before=claim.check
        )
    log.publish(run_id, CATALOG)
    return report_run(workspace, run_id, output_uri, inputs=request.listen, before=claim.check)
