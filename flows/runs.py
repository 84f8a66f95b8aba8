"""Runs on a Prefect server, seen from outside: start, wait, retry, cancel, schedule."""

import math
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import DeploymentSchedule, FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse, SetStateStatus
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry, Cancelled, Cancelling
from prefect.types._datetime import now

from flows.catalog import RenderRequest
from flows.server import CATALOG_DEPLOYMENT, ServerError, server
from flows.summary import page_key, progress_key
from tasks.files import join, scrub

T = TypeVar("T")
_POLL_S = 5.0
"""A look costs the server as much as three events of a task run."""
_SHOW_S = 15.0
"""Between two looks at a catalogue's bar, which moves as shards end, and at who waits."""
_UNTAKEN_S = 60.0
"""A run that was due so long ago may wait for a worker that is not there."""
_STOPPING_S = 120.0
"""A cancelled run that has not ended since: its worker is gone. The server waits five minutes."""
_PAGE = 200
"""Shards that are looked at: more are not open at a time by default, and the newest come first."""


def submit(request: RenderRequest, *, idempotency_key: str | None = None) -> FlowRun:
    """Start a catalogue's run on the workers; return it at once.

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
    """A flow run as the server knows it."""
    with server(f"flow run {run_id}") as client:
        return client.read_flow_run(_uuid(run_id))


def wait_for(
    run_id: str, warn: Callable[[str], None], show: Callable[[float], None]
) -> tuple[FlowRun, State]:
    """Return a flow run that has ended, and its state; a server that is away is waited for.

    `warn` hears, once, that no worker has taken the run, or any shard of it; `show` hears how
    many percent of a catalogue's pairs are over.
    """
    show_at = look_at = 0.0
    while True:
        run = _waited_for(lambda: read_run(run_id))
        if run.state and run.state.is_final():
            return run, run.state
        if time.monotonic() >= show_at:
            show_at = time.monotonic() + _SHOW_S
            show(_waited_for(lambda: _percent_over(run)))  # noqa: B023  # called at once
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _SHOW_S
            if untaken := _waited_for(lambda: _untaken(run)):  # noqa: B023  # called at once
                pool = untaken.work_pool_name
                of_pool = f" of the pool {pool}" if pool else ""
                warn(
                    f"{untaken.name} waits: the workers{of_pool} are all at work, or there is "
                    "none; amnst doctor says which are alive"
                )
                look_at = math.inf
        time.sleep(_POLL_S)


def _percent_over(run: FlowRun) -> float:
    """As the bar on a catalogue's page says; 0 before there is one."""
    key = progress_key(str(run.id))
    wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
    with server(f"artifact {key}") as client:
        found = client.request("POST", "/artifacts/filter", json=wanted).json()
    return float(found[0]["data"]) if found else 0.0


def _untaken(run: FlowRun) -> FlowRun | None:
    """The run if no worker takes it, or a shard if none takes any."""
    waiting = [run] if _is_untaken(run) else _shards_under_way(run)
    return waiting[0] if waiting and all(map(_is_untaken, waiting)) else None


def _is_untaken(run: FlowRun) -> bool:
    if run.state is None or not run.state.is_scheduled():
        return False
    due = run.state.state_details.scheduled_time or run.state.timestamp
    return (now("UTC") - due).total_seconds() >= _UNTAKEN_S


def _waited_for(call: Callable[[], T]) -> T:
    """Ask again while the server is away."""
    while True:
        try:
            return call()
        except ServerError as error:
            if error.code != "server_away":
                raise
        time.sleep(_POLL_S)


def report_of(run: FlowRun) -> str | None:
    """Where the report of a catalogue's or shard's run is; None before there is one.

    A server that is away is waited for.
    """
    shard = run.parameters.get("shard", {})
    output = (shard or run.parameters).get("request", {}).get("output")
    page = page_key(shard.get("catalog_run_id", str(run.id)))
    n_pages = _waited_for(lambda: _count_artifacts(page))
    return scrub(join(output, "results.csv")) if n_pages and output else None


def _count_artifacts(key: str) -> int:
    wanted = {"artifacts": {"key": {"any_": [key]}}}
    with server(f"artifact {key}") as client:
        n_artifacts: int = client.request("POST", "/artifacts/count", json=wanted).json()
    return n_artifacts


def retry(run_id: str) -> FlowRun:
    """Start a run again that has ended: what it finished is not made again.

    Raises
    ------
    ServerError
        ``not_final`` for a run under way, ``completed`` for one that has nothing left to
        make, ``no_deployment`` for one that no worker can start, ``refused`` where the server
        says no.
    """
    run = read_run(run_id)
    if run.state is None or not run.state.is_final():
        message = (
            f"flow run {run.name} is {run.state_name}; only one that has ended is retried. One "
            "whose worker has died becomes Crashed within two minutes; `amnst cancel` ends others"
        )
        raise ServerError(message, code="not_final")
    if run.state.is_completed():
        message = (
            f"flow run {run.name} is {run.state_name}, nothing of it failed; `amnst submit` starts "
            "its manifest anew: what is finished is recognised, and made again with --force"
        )
        raise ServerError(message, code="completed")
    if run.deployment_id is None:
        message = f"flow run {run.name} belongs to no deployment; run its command again instead"
        raise ServerError(message, code="no_deployment")
    _set_state(run, AwaitingRetry(), "retried")
    return run


def cancel(run_id: str) -> FlowRun:
    """Stop a run that has not ended; that of a catalogue takes its shards along.

    Its process ends it. One that should have and has not is dead: the run is then ended here.
    Of a catalogue that has lost its own process, the shards that go on are stopped.

    Returns
    -------
    The run as it is then.

    Raises
    ------
    ServerError
        ``ended`` for a run of which nothing is left to stop, ``refused`` where the server
        says no.
    """
    run = read_run(run_id)
    if not (run.state and run.state.is_final()):
        _stop(run)
    elif under_way := _shards_under_way(run):
        for shard in under_way:
            _stop(shard)
    else:
        message = (
            f"flow run {run.name} is {run.state_name}: nothing of it is under way; "
            "`amnst retry` starts it again where it is not Completed"
        )
        raise ServerError(message, code="ended")
    return read_run(run_id)


def _shards_under_way(run: FlowRun) -> list[FlowRun]:
    of_run = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
    with server(f"flow run {run.id}") as client:
        shards = client.read_flow_runs(
            flow_run_filter=of_run, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=_PAGE
        )
    return [shard for shard in shards if not (shard.state and shard.state.is_final())]


def _stop(run: FlowRun) -> None:
    if not _hears(run.state):
        _set_state(run, Cancelled(), "cancelled")
    elif run.state_name != "Cancelling":
        _set_state(run, Cancelling(), "cancelled")


def _hears(state: State | None) -> bool:
    """Say whether a process may be there that ends its run when it is asked to."""
    if state is None or state.is_scheduled():
        return False
    asked_s = (now("UTC") - state.timestamp).total_seconds()
    return not state.is_cancelling() or asked_s < _STOPPING_S


def _set_state(run: FlowRun, state: State[None], done: str) -> None:
    with server(f"flow run {run.id}") as client:
        answer = client.set_flow_run_state(run.id, state)
    if answer.status != SetStateStatus.ACCEPT:
        reason = getattr(answer.details, "reason", answer.status.value)
        raise ServerError(f"flow run {run.name} cannot be {done}: {reason}", code="refused")


def schedule(
    request: RenderRequest, *, cron: str, timezone: str, name: str, active: bool
) -> str | None:
    """Let a catalogue be rendered at set times; a schedule of the same name becomes this one.

    Parameters
    ----------
    cron, timezone
        As ``0 3 * * *`` and ``Europe/Berlin``.
    name
        Of the schedule, in lower case with dashes.
    active
        Whether it starts runs at once, or waits for a click in the UI.

    Returns
    -------
    The manifest of the schedule whose place it took, if there was one.
    """
    times = CronSchedule(cron=cron, timezone=timezone)
    parameters = {"request": request.model_dump(mode="json")}
    with server() as client:
        deployment = _deployment(client)
        # Changed in place: were it replaced, a failure in between would leave none.
        for each in deployment.schedules:
            if each.slug == name:
                client.update_deployment_schedule(
                    deployment.id, each.id, active=active, schedule=times, parameters=parameters
                )
                return str(each.parameters.get("request", {}).get("manifest", ""))
        created = DeploymentScheduleCreate(
            schedule=times, active=active, slug=name, parameters=parameters
        )
        client.create_deployment_schedules(deployment.id, [created])
    return None


def schedules() -> list[DeploymentSchedule]:
    """The schedules of catalogues."""
    with server() as client:
        return list(_deployment(client).schedules)


def unschedule(name: str) -> None:
    """Remove a schedule; raises ServerError ``not_found``."""
    with server() as client:
        deployment = _deployment(client)
        found = [each for each in deployment.schedules if each.slug == name]
        if not found:
            known = ", ".join(str(each.slug) for each in deployment.schedules) or "none"
            raise ServerError(f"no schedule is named {name}; there are: {known}", code="not_found")
        client.delete_deployment_schedule(deployment.id, found[0].id)


def url_of(run: FlowRun) -> str:
    """Where the UI shows a run."""
    ui = get_current_settings().ui_url or ""
    return f"{ui}/runs/flow-run/{run.id}" if ui else str(run.id)


def _deployment(client: SyncPrefectClient) -> DeploymentResponse:
    return client.read_deployment_by_name(CATALOG_DEPLOYMENT)


def _uuid(run_id: str) -> UUID:
    try:
        return UUID(run_id)
    except ValueError:
        message = f"{run_id!r} is no id of a flow run; `amnst submit` prints it, the UI shows it"
        raise ServerError(message, code="bad_id") from None
