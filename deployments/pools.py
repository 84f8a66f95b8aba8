"""The two work pools: `control` for what waits, `gpu` for what computes."""

import json
from importlib import resources
from typing import Any, Literal, TypeAlias

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from deployments.changes import Change, DeployError
from deployments.definitions import CONTROL, GPU

PoolType: TypeAlias = Literal["process", "docker", "kubernetes"]

_DESCRIPTIONS = {
    CONTROL: "Catalogues and watchers of inboxes: they start runs and wait for them.",
    GPU: "Shards and trainings: one at a time per device.",
}


def ensure_pools(client: SyncPrefectClient, pool_type: PoolType, *, dry_run: bool) -> list[Change]:
    """Create the work pools that are missing.

    A pool that exists stays as it is: its job template is the operator's to edit.

    Raises
    ------
    DeployError
        ``other_pool_type`` for a pool of another type: it cannot be changed.
    """
    return [_ensure(client, name, pool_type, dry_run=dry_run) for name in _DESCRIPTIONS]


def _ensure(client: SyncPrefectClient, name: str, pool_type: PoolType, *, dry_run: bool) -> Change:
    try:
        found = client.read_work_pool(name)
    except ObjectNotFound:
        if dry_run or _created(client, name, pool_type):
            return Change("work pool", name, "create")
        found = client.read_work_pool(name)
    if found.type != pool_type:
        raise DeployError(
            f"the work pool {name} is of type {found.type}, not {pool_type}; "
            f"pass --pool-type {found.type}, or delete the pool first",
            code="other_pool_type",
        )
    return Change("work pool", name, "keep")


def _created(client: SyncPrefectClient, name: str, pool_type: PoolType) -> bool:
    """Create a pool; False where another `amnst deploy` has meanwhile."""
    try:
        client.create_work_pool(_pool(name, pool_type))
    except ObjectAlreadyExists:
        return False
    return True


def _pool(name: str, pool_type: PoolType) -> WorkPoolCreate:
    return WorkPoolCreate(
        name=name,
        type=pool_type,
        description=_DESCRIPTIONS[name],
        base_job_template=job_template(name, pool_type),
    )


def job_template(name: str, pool_type: PoolType) -> dict[str, Any]:
    """What a run of a pool is started with: Prefect's own, on Kubernetes with a GPU."""
    if pool_type == "kubernetes" and name == GPU:
        text = resources.files("deployments").joinpath("kubernetes/gpu-job-template.json")
        template: dict[str, Any] = json.loads(text.read_text("utf-8"))
        return template
    found = run_coro_as_sync(get_default_base_job_template_for_infrastructure_type(pool_type))
    if found is None:
        raise DeployError(
            f"Prefect has no job template for pools of type {pool_type}; "
            f"install prefect-{pool_type} beside amnst",
            code="no_job_template",
        )
    return found
