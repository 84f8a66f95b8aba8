"""`amnst deploy`: create the pools, deployments and automations of this package on a server."""

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

from deployments.automations import ensure_automation, lost_runs, stuck_runs, triggers_of
from deployments.changes import Change, DeployError, differing
from deployments.definitions import Definition, heartbeat_s
from deployments.pools import POOLS, PoolType, ensure_pool, job_template
from flows.server.prefect_internals import parameter_schema
from nst_core import __version__

MARK = "Made by `amnst deploy`."
"""End of the description of deployments that we may remove; other deployments may share our tag.

A separate tag would add a resource to every event of every run, and the server stores these.
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
    """Create what is missing, update what differs, and remove what is no longer defined.

    Yields each change when it is done. Other people's deployments stay as they are. So does what
    an operator may have set: edited job templates of pools, schedules, and whether an automation
    is on.

    Parameters
    ----------
    definitions
        Deployments; `deployments.definitions.definitions` returns those of the package.
    pool_type
        Type of the work pools.
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
            f"runs in pools of type {pool_type} need a container image with amnst; pass --image",
            code="no_image",
        )
    templates = {}
    for name in POOLS:
        template = job_template(name, pool_type, definitions, image=image)
        change, templates[name] = ensure_pool(client, name, pool_type, template, dry_run=dry_run)
        yield change
    for definition in definitions:
        template = templates[definition.work_pool.name]
        # An edited template may take the image from the deployment, as ours did in the past.
        chosen = image if "image" in template["variables"].get("properties", {}) else None
        yield from _ensure_deployment(client, definition, chosen, dry_run=dry_run)
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
    """Remove deployments that carry our mark but are no longer defined."""
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
    """Create missing schedules; existing ones belong to the operator."""
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
