"""Runs on a Prefect server, seen from outside: start, wait, retry, schedule."""

import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule, FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse, SetStateStatus
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry

from flows.catalog import RenderRequest
from flows.summary import page_key
from nst_core.errors import NSTError
from tasks.files import join, scrub

CATALOG_DEPLOYMENT = "render-catalog/control"

T = TypeVar("T")
_POLL_S = 3.0


class ServerError(NSTError):
    """A Prefect server that is not there, or that refuses what was asked of it."""


def submit(request: RenderRequest, *, idempotency_key: str | None = None) -> FlowRun:
    """Start a catalogue's run on the workers; return it at once.

    Parameters
    ----------
    request
        What to render.
    idempotency_key
        A second call with the same key returns the first one's run.
    """
    return _asked(
        lambda: run_deployment(  # type: ignore[return-value]  # no event loop here
            CATALOG_DEPLOYMENT,
            parameters={"request": request.model_dump(mode="json")},
            idempotency_key=idempotency_key,
            as_subflow=False,
            timeout=0,
        )
    )


def read_run(run_id: str) -> FlowRun:
    """A flow run as the server knows it."""
    with get_client(sync_client=True) as client:
        return _asked(lambda: client.read_flow_run(_uuid(run_id)), what=f"flow run {run_id}")


def wait_for(run_id: str) -> tuple[FlowRun, State]:
    """Return a flow run that has ended, and its state; a server that is away is waited for."""
    while True:
        try:
            run = read_run(run_id)
        except ServerError as error:
            if error.code != "server_away":
                raise
        else:
            if run.state and run.state.is_final():
                return run, run.state
        time.sleep(_POLL_S)


def report_of(run: FlowRun) -> str | None:
    """Where the report of a catalogue's or shard's run is; None before there is one."""
    shard = run.parameters.get("shard", {})
    output = (shard or run.parameters).get("request", {}).get("output")
    page = {"key": {"any_": [page_key(shard.get("catalog_run_id", str(run.id)))]}}
    with get_client(sync_client=True) as client:
        # Not the client's own read_artifacts: it sends defaults that the server refuses.
        n_pages = _asked(
            lambda: client.request("POST", "/artifacts/count", json={"artifacts": page}).json()
        )
    return scrub(join(output, "results.csv")) if n_pages and output else None


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
        message = f"flow run {run.name} is {run.state_name}; only one that has ended is retried"
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
    state: State[None] = AwaitingRetry()
    with get_client(sync_client=True) as client:
        answer = _asked(lambda: client.set_flow_run_state(run.id, state))
    if answer.status != SetStateStatus.ACCEPT:
        reason = getattr(answer.details, "reason", answer.status.value)
        raise ServerError(f"flow run {run.name} cannot be retried: {reason}", code="refused")
    return run


def schedule(
    request: RenderRequest, *, cron: str, timezone: str, name: str, active: bool
) -> DeploymentSchedule:
    """Let a catalogue be rendered at set times; a schedule of the same name is replaced.

    Parameters
    ----------
    cron, timezone
        As ``0 3 * * *`` and ``Europe/Berlin``.
    name
        Of the schedule, in lower case with dashes.
    active
        Whether it starts runs at once, or waits for a click in the UI.
    """
    wanted = DeploymentScheduleCreate(
        schedule=CronSchedule(cron=cron, timezone=timezone),
        active=active,
        slug=name,
        parameters={"request": request.model_dump(mode="json")},
    )
    with get_client(sync_client=True) as client:
        deployment = _deployment()
        for each in deployment.schedules:
            if each.slug == name:
                client.delete_deployment_schedule(deployment.id, each.id)
        created = _asked(lambda: client.create_deployment_schedules(deployment.id, [wanted]))
    return created[0]


def schedules() -> list[DeploymentSchedule]:
    """The schedules of catalogues."""
    return list(_deployment().schedules)


def unschedule(name: str) -> None:
    """Remove a schedule; raises ServerError ``not_found``."""
    deployment = _deployment()
    found = [each for each in deployment.schedules if each.slug == name]
    if not found:
        known = ", ".join(str(each.slug) for each in deployment.schedules) or "none"
        raise ServerError(f"no schedule is named {name}; there are: {known}", code="not_found")
    with get_client(sync_client=True) as client:
        client.delete_deployment_schedule(deployment.id, found[0].id)


def url_of(run: FlowRun) -> str:
    """Where the UI shows a run."""
    ui = get_current_settings().ui_url or ""
    return f"{ui}/runs/flow-run/{run.id}" if ui else str(run.id)


def _deployment() -> DeploymentResponse:
    with get_client(sync_client=True) as client:
        return _asked(
            lambda: client.read_deployment_by_name(CATALOG_DEPLOYMENT),
            what=f"deployment {CATALOG_DEPLOYMENT}",
        )


def _uuid(run_id: str) -> UUID:
    try:
        return UUID(run_id)
    except ValueError:
        message = f"{run_id!r} is no id of a flow run; `amnst submit` prints it, the UI shows it"
        raise ServerError(message, code="bad_id") from None


def _asked(call: Callable[[], T], *, what: str = f"deployment {CATALOG_DEPLOYMENT}") -> T:
    """Ask the server; say what is wrong where it does not do as it is told."""
    url = get_current_settings().api.url
    if url is None:
        message = "no Prefect server is named; set PREFECT_API_URL, or start one by `amnst serve`"
        raise ServerError(message, code="no_server")
    try:
        return call()
    except ObjectNotFound as error:
        remedy = (
            "`amnst deploy` makes the deployments"
            if what.startswith("deployment")
            else "compare the id with the one in the UI"
        )
        message = f"{what} is not known to {url}; {remedy}"
        raise ServerError(message, code="not_found") from error
    except PrefectHTTPStatusError as error:
        message = f"{url} refused: {error.response.status_code} {error.response.text[:500]}"
        raise ServerError(message, code="refused") from error
    except httpx.TransportError as error:
        message = f"{url} does not answer ({error}); start it, or set PREFECT_API_URL"
        raise ServerError(message, code="server_away") from error
