"""Schedules, by which workers render catalogues regularly."""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from flows.requests import RenderRequest
from flows.server.connection import CATALOG_DEPLOYMENT, ServerError, server
from tasks.storage.credentials import refuse_login, scrub


def schedule(
    request: RenderRequest, *, cron: str, timezone: str, name: str, active: bool
) -> str | None:
    """Create a schedule for a catalogue, or replace the schedule of the same name.

    Parameters
    ----------
    cron, timezone
        For example ``0 3 * * *`` and ``Europe/Berlin``.
    name
        Name of the schedule, in lower case with dashes.
    active
        Whether the schedule is on, or waits until it is switched on in the UI.

    Returns
    -------
    Manifest of the replaced schedule, if there was one.
    """
    for option, value in (("--cron", cron), ("--timezone", timezone), ("--name", name)):
        refuse_login(option, value)
    times = CronSchedule(cron=cron, timezone=timezone)
    parameters = {"request": request.model_dump(mode="json")}
    with server() as client:
        deployment = _deployment(client)
        # Update in place, because a failure between deletion and creation would leave none.
        for each in deployment.schedules:
            if each.slug == name:
                client.update_deployment_schedule(
                    deployment.id, each.id, active=active, schedule=times, parameters=parameters
                )
                return scrub(str(each.parameters.get("request", {}).get("manifest", "")))
        created = DeploymentScheduleCreate(
            schedule=times, active=active, slug=name, parameters=parameters
        )
        client.create_deployment_schedules(deployment.id, [created])
    return None


def schedules() -> list[DeploymentSchedule]:
    """Return the schedules of catalogues."""
    with server() as client:
        return list(_deployment(client).schedules)


def unschedule(name: str) -> None:
    """Remove a schedule; raise ServerError ``not_found`` if it does not exist."""
    with server() as client:
        deployment = _deployment(client)
        found = [each for each in deployment.schedules if each.slug == name]
        if not found:
            known = ", ".join(str(each.slug) for each in deployment.schedules) or "none"
            message = f"no schedule is named {name}; existing schedules: {known}"
            raise ServerError(message, code="not_found")
        client.delete_deployment_schedule(deployment.id, found[0].id)


def _deployment(client: SyncPrefectClient) -> DeploymentResponse:
    return client.read_deployment_by_name(CATALOG_DEPLOYMENT)
