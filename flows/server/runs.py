"""Runs on a Prefect server, controlled from outside: start, look up, retry, cancel."""

from datetime import UTC, datetime
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Completed, Failed

from flows.requests import RenderRequest
from flows.server.connection import CATALOG_DEPLOYMENT, Remedy, ServerError, server

_STOPPING_S = 120.0
"""A cancelled run that takes longer to end has lost its worker; the server waits five minutes."""
_PAGE = 200
"""Number of newest shards that are checked; by default fewer are open at a time."""


def submit(request: RenderRequest, *, idempotency_key: str | None = None) -> FlowRun:
    """Start a catalogue's run on the workers and return it without waiting.

    Parameters
    ----------
    request
        What to render.
    idempotency_key
        A second call with the same key returns the first one's run.
    """
    with server():
        return run_deployment(  # type: ignore[return-value]  # no event loop here
            CATALOG_DEPLOYMENT,
            parameters={"request": request.model_dump(mode="json")},
            flow_run_name=request.title,
            idempotency_key=idempotency_key,
            as_subflow=False,
            timeout=0,
        )


def read_run(run_id: str) -> FlowRun:
    """Return a flow run from the server."""
    with server(f"flow run {run_id}", Remedy.RUN_ID) as client:
        return client.read_flow_run(_uuid(run_id))


def retry(run_id: str) -> FlowRun:
    """Start an ended run again; its finished results are reused.

    Raises
    ------
    ServerError
        ``not_final`` for a run that has not ended, ``completed`` for one that has nothing left
        to do, ``no_deployment`` for one that no worker can start, ``refused`` if the server
        refuses.
    """
    run = read_run(run_id)
    if run.state is None or not run.state.is_final():
        message = (
            f"flow run {run.name} is {run.state_name}; only an ended run can be retried. A run "
            "whose worker has died becomes Crashed within two minutes; `amnst cancel` ends others"
        )
        raise ServerError(message, code="not_final")
    if run.state.is_completed():
        message = (
            f"flow run {run.name} is {run.state_name} without failures; `amnst submit` runs its "
            "manifest again and reuses finished results, or with --force computes all again"
        )
        raise ServerError(message, code="completed")
    if run.deployment_id is None:
        message = f"flow run {run.name} has no deployment; run its command again instead"
        raise ServerError(message, code="no_deployment")
    _set_state(run, AwaitingRetry(), "retried")
    return run


def cancel(run_id: str, *, stopping_s: float = _STOPPING_S) -> FlowRun:
    """Stop a run that has not ended; a catalogue's run also stops its shards.

    Normally the run's process ends it. If the process does not do so in time, it is dead, and the
    run is ended here. If a catalogue has lost its own process, its running shards are stopped.

    Parameters
    ----------
    stopping_s
        A run that takes longer than this to stop has lost its process.

    Returns
    -------
    The run with its new state.

    Raises
    ------
    ServerError
        ``ended`` if nothing is left to stop, ``refused`` if the server refuses.
    """
    run = read_run(run_id)
    if not (run.state and run.state.is_final()):
        _stop(run, stopping_s)
    elif under_way := shards_under_way(run):
        for shard in under_way:
            _stop(shard, stopping_s)
    else:
        message = (
            f"flow run {run.name} is {run.state_name}, and nothing of it is running; "
            "`amnst retry` starts it again unless it is Completed"
        )
        raise ServerError(message, code="ended")
    return read_run(run_id)


def shards_under_way(run: FlowRun) -> list[FlowRun]:
    """Return the shards of a catalogue's run that have not ended."""
    of_run = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
    with server(f"flow run {run.id}", Remedy.RUN_ID) as client:
        shards = client.read_flow_runs(
            flow_run_filter=of_run, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=_PAGE
        )
    return [shard for shard in shards if not (shard.state and shard.state.is_final())]


def _stop(run: FlowRun, stopping_s: float) -> None:
    if not _hears(run.state, stopping_s):
        _set_state(run, Cancelled(), "cancelled")
    elif run.state_name != "Cancelling":
        _set_state(run, Cancelling(), "cancelled")


def _hears(state: State | None, stopping_s: float) -> bool:
    """Return whether the run may have a process that stops when it is asked to."""
    if state is None or state.is_scheduled():
        return False
    asked_s = (datetime.now(UTC) - state.timestamp).total_seconds()
    return not state.is_cancelling() or asked_s < stopping_s


def _set_state(run: FlowRun, state: State[None], done: str) -> None:
    with server(f"flow run {run.id}", Remedy.RUN_ID) as client:
        answer = client.set_flow_run_state(run.id, state)
    if answer.status != SetStateStatus.ACCEPT:
        reason = getattr(answer.details, "reason", answer.status.value)
        raise ServerError(f"flow run {run.name} cannot be {done}: {reason}", code="refused")


def end_otherwise(run_id: str, *, well: bool, message: str) -> None:
    """Correct the final state of a catalogue's run, because one of its shards was retried alone.

    A run that has not ended stays as it is: it will tell its own end. So does the kind of end of a
    cancelled run that still lacks pairs.
    """
    run = read_run(run_id)
    if run.state is None or not run.state.is_final():
        return
    if well:
        state: State[None] = Completed(message=message)
    else:
        state = (Cancelled if run.state.is_cancelled() else Failed)(message=message)
    with server(f"flow run {run.id}", Remedy.RUN_ID) as client:
        client.set_flow_run_state(run.id, state, force=True)


def url_of(run: FlowRun) -> str:
    """Return the address of a run's page in the UI, else its id."""
    ui = get_current_settings().ui_url or ""
    return f"{ui}/runs/flow-run/{run.id}" if ui else str(run.id)


def _uuid(run_id: str) -> UUID:
    try:
        return UUID(run_id)
    except ValueError:
        message = f"{run_id!r} is not the id of a flow run; `amnst submit` and the UI show ids"
        raise ServerError(message, code="bad_id") from None
