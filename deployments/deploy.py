"""`amnst deploy`: a Prefect server gets the pools, deployments and automations of this package."""

from collections.abc import Iterator, Sequence
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import construct_schedule
from prefect.client.schemas.sorting import DeploymentSort
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema

from deployments.automations import ensure_automation, lost_runs, stuck_runs, triggers_of
from deployments.changes import Change, DeployError, differing
from deployments.definitions import Definition, heartbeat_s
from deployments.pools import PoolType, ensure_pools
from nst_core import __version__

MARK = "Made by `amnst deploy`."
"""Ends the description of the deployments that are ours to remove; others may have our tag, too.

A tag of its own would be one more resource of every event of every run, which the server stores.
"""
_TAG = "amnst"
_PAGE = 200


def deploy(
    client: SyncPrefectClient,
    definitions: Sequence[Definition],
    *,
    pool_type: PoolType = "process",
    image: str | None = None,
    dry_run: bool = False,
) -> Iterator[Change]:
    """Create what is missing, update what differs, remove what is ours and no longer defined.

    Each change is yielded as it is done. Other people's deployments are left alone. What an
    operator may have set stays: job templates of pools, schedules, and whether an automation
    is on.

    Parameters
    ----------
    definitions
        The deployments; `deployments.definitions.definitions` has those of the package.
    pool_type
        Of the work pools.
    image
        Container image with this package, for pools that start containers.
    dry_run
        Change nothing.

    Raises
    ------
    DeployError
        ``no_image`` or ``other_pool_type``.
    """
    if pool_type != "process" and not image:
        raise DeployError(
            f"runs of pools of type {pool_type} need a container image with amnst; pass --image",
            code="no_image",
        )
    yield from ensure_pools(client, pool_type, dry_run=dry_run)
    for definition in definitions:
        yield from _ensure_deployment(client, definition, image, dry_run=dry_run)
    for automation in (lost_runs(heartbeat_s()), stuck_runs()):
        yield ensure_automation(client, automation, dry_run=dry_run)
    yield from _remove_undefined(client, definitions, dry_run=dry_run)


def _ensure_deployment(
    client: SyncPrefectClient, definition: Definition, image: str | None, *, dry_run: bool
) -> Iterator[Change]:
    flow = definition.flow()
    name = definition.full_name
    desired = _desired(definition, flow, image)
    found = _read(client, name)
    if found is None:
        yield Change("deployment", name, "create")
        if not dry_run:
            flow_id = client.create_flow_from_name(flow.name)
            client.create_deployment(flow_id, definition.name, **desired)
            found = _read(client, name)
    else:
        fields = differing(desired, _found(found))
        yield Change("deployment", name, "update" if fields else "keep", fields)
        if fields and not dry_run:
            update = DeploymentUpdate.model_validate({field: desired[field] for field in fields})
            client.update_deployment(found.id, update)
    yield from _ensure_schedules(client, definition, name, found, dry_run=dry_run)
    for trigger in triggers_of(definition, found.id) if found else ():
        yield ensure_automation(client, trigger, dry_run=dry_run)
    if not found:
        yield from (Change("automation", each["name"], "create") for each in definition.triggers)


def _remove_undefined(
    client: SyncPrefectClient, definitions: Sequence[Definition], *, dry_run: bool
) -> Iterator[Change]:
    """Remove the deployments that carry our mark and that nothing defines any more."""
    defined = {definition.full_name for definition in definitions}
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[_TAG]))
    for found in client.read_deployments(
        deployment_filter=tagged, limit=_PAGE, sort=DeploymentSort.NAME_ASC
    ):
        name = f"{client.read_flow(found.flow_id).name}/{found.name}"
        if name in defined or not (found.description or "").endswith(MARK):
            continue
        if not dry_run:
            client.delete_resource_owned_automations(f"prefect.deployment.{found.id}")
            client.delete_deployment(found.id)
        yield Change("deployment", name, "remove")


def _read(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _desired(definition: Definition, flow: Flow[..., Any], image: str | None) -> dict[str, Any]:
    variables, slots = definition.work_pool.job_variables, definition.concurrency_limit
    options = {"collision_strategy": slots.collision_strategy} if slots else None
    return {
        "version": __version__,
        "description": f"{definition.description} {MARK}",
        "tags": list(definition.tags),
        "entrypoint": definition.entrypoint,
        "work_pool_name": definition.work_pool.name,
        "job_variables": {**variables, "image": image} if image else variables,
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        "pull_steps": [],
        "concurrency_limit": slots.limit if slots else None,
        "concurrency_options": ConcurrencyOptions.model_validate(options) if options else None,
    }


def _found(deployment: DeploymentResponse) -> dict[str, Any]:
    limit = deployment.global_concurrency_limit
    return {
        **{name: getattr(deployment, name) for name in _PLAIN},
        "concurrency_limit": limit.limit if limit else None,
    }


_PLAIN = (
    "version",
    "description",
    "tags",
    "entrypoint",
    "work_pool_name",
    "job_variables",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "pull_steps",
    "concurrency_options",
)


def _ensure_schedules(
    client: SyncPrefectClient,
    definition: Definition,
    name: str,
    found: DeploymentResponse | None,
    *,
    dry_run: bool,
) -> Iterator[Change]:
    """Create the schedules that are missing; one that exists is the operator's."""
    present = {schedule.slug for schedule in found.schedules} if found else set()
    for fields in definition.schedules:
        missing = fields["slug"] not in present
        if missing and found and not dry_run:
            client.create_deployment_schedules(found.id, [_schedule(fields)])
        yield Change("schedule", f"{name} {fields['slug']}", "create" if missing else "keep")


def _schedule(fields: dict[str, Any]) -> DeploymentScheduleCreate:
    times = {name: fields[name] for name in ("cron", "interval", "timezone") if name in fields}
    return DeploymentScheduleCreate(
        slug=fields["slug"], active=fields["active"], schedule=construct_schedule(**times)
    )
