"""Flow `render-shard`: render some rows of a catalogue in one process."""

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.batch import Batch
from flows.catalog import rows_of
from flows.rows import THREADS, render_rows, verdict
from flows.server.environment import refuse_pickles
from flows.server.expected_errors import leave_tracebacks_out
from flows.settings import Settings
from flows.shards import CODE_VERSION, Shard, ShardError
from flows.summary import tell_again
from flows.writing import writing
from tasks.manifest.shard_rows import read_rows
from tasks.model import fetch_model
from tasks.report.parts import ResultLog, is_over, report_run, result_log, tally_so_far
from tasks.running.retry import patiently
from tasks.running.workspace import Workspace
from tasks.storage.lease import Lease


@flow(
    name="render-shard",
    flow_run_name="{shard.title}",
    task_runner=ThreadPoolTaskRunner(max_workers=THREADS),  # type: ignore[arg-type]  # generic
    validate_parameters=True,
    persist_result=False,  # Prefect never runs a completed run again if it has a stored result
)
def render_shard(shard: Shard) -> Any:
    """Render the rows of a shard; end as Failed if a row failed."""
    refuse_pickles()
    leave_tracebacks_out()
    workspace = Settings().workspace()
    batch = patiently(lambda: _opened(shard, workspace))
    with (
        result_log(workspace) as log,
        writing(batch, shard.catalog_run_id, shared=True) as (batch, lease),
    ):
        try:
            render_rows(batch, workspace, log.add)
        finally:
            patiently(lambda: _tell(shard, log, workspace, lease))
    return verdict(log.tally)


def _tell(shard: Shard, log: ResultLog, workspace: Workspace, lease: Lease) -> None:
    log.publish(shard.catalog_run_id, shard.name)
    if is_over(workspace, shard.catalog_run_id):
        # The shard was retried alone, so no catalogue run will write the report.
        report = report_run(
            workspace,
            shard.catalog_run_id,
            shard.request.output,
            inputs=shard.request.listen,
            before=lease.claim.check,
        )
        tally = tally_so_far(workspace, shard.catalog_run_id)
        tell_again(tally, shard.request, shard.catalog_run_id, report)


def _opened(shard: Shard, workspace: Workspace) -> Batch:
    """Return the rows of a shard; raise if this worker has another version or model."""
    if shard.code_version != CODE_VERSION:
        raise ShardError(
            f"{shard.title}: this worker has amnst {CODE_VERSION}, but the catalogue was started "
            f"with {shard.code_version}; install that version here and retry the shard",
            code="other_version",
        )
    model = fetch_model(shard.request.model, workspace)
    if model.sha256 != shard.model_sha256:
        raise ShardError(
            f"{shard.title}: the model has the sha256 {model.sha256}, but the catalogue was "
            f"started with {shard.model_sha256}; restore that model and retry the shard, or retry "
            "the run of the catalogue to use the new model",
            code="other_model",
        )
    rows = read_rows(rows_of(shard), workspace)
    return Batch(request=shard.request, rows=tuple(rows), model=model)
