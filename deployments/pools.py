"""The two work pools: `control` for runs that wait, `gpu` for runs that compute.

A pool's job template decides how a run is started. With Prefect's own template a run may choose its
command, environment, image and folder, so anyone who can start a run can start any program. Our
templates fix all of these. The only remaining variable, `env`, accepts only the values of our own
deployments.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal, TypeAlias

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from deployments.changes import Change, DeployError
from deployments.definitions import CONTROL, GPU, Definition
from flows.server.prefect_internals import apply_values, run_coro_as_sync, validate

PoolType: TypeAlias = Literal["process", "docker", "kubernetes"]
Template: TypeAlias = dict[str, Any]

POOLS = {
    CONTROL: "Catalogues and watchers of inboxes: they start runs and wait for them.",
    GPU: "Shards and trainings: one at a time per device.",
}
_MARK = "$comment"
"""Key of JSON Schema that holds the digest of a template made by `amnst deploy`."""

_PROBES: dict[str, Any] = {
    "command": "true",
    "env": {"LD_PRELOAD": "any.so"},
    "image": "any",
    "working_dir": "/",
    "volumes": ["/:/host"],
    "privileged": True,
    "service_account_name": "any",
    "namespace": "any",
    "cluster_config": {"config": {}, "context_name": "any"},
}
"""Variables with which a run could start another program, or start ours elsewhere."""


def ensure_pool(
    client: SyncPrefectClient, name: str, pool_type: PoolType, template: Template, *, dry_run: bool
) -> tuple[Change, Template]:
    """Create a work pool if it is missing, and update a job template that is ours.

    A template that an operator has edited stays. Returns the change, and the template that the
    pool has afterwards.

    Raises
    ------
    DeployError
        ``other_pool_type``: the pool has another type, which cannot be changed.
    """
    try:
        found = client.read_work_pool(name)
    except ObjectNotFound:
        if dry_run or _created(client, name, pool_type, template):
            return Change("work pool", name, "create"), template
        found = client.read_work_pool(name)
    if found.type != pool_type:
        raise DeployError(
            f"the work pool {name} is of type {found.type}, not {pool_type}; "
            f"pass --pool-type {found.type}, or delete the pool first",
            code="other_pool_type",
        )
    if found.base_job_template == template or not _is_ours(found, pool_type):
        return Change("work pool", name, "keep"), found.base_job_template
    if not dry_run:
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
    return Change("work pool", name, "update", ("base_job_template",)), template


def _created(client: SyncPrefectClient, name: str, pool_type: PoolType, template: Template) -> bool:
    """Create a pool; return False if another `amnst deploy` was faster."""
    pool = WorkPoolCreate(
        name=name,
        type=pool_type,
        description=POOLS[name],
        base_job_template=template,
    )
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return False
    return True


def _is_ours(pool: WorkPool, pool_type: PoolType) -> bool:
    """Return whether a pool's template is still the one that we made.

    Earlier versions gave pools the open template, without a mark.
    """
    found = pool.base_job_template
    mark = found.get("variables", {}).get(_MARK)
    return mark == _digest(found) if mark else found == open_template(pool.name, pool_type)


def open_choices(template: Template) -> list[str]:
    """Return the names of variables that a run of a pool may choose but should not."""
    schema = template.get("variables", {})
    return [
        name
        for name, probe in _PROBES.items()
        if not validate({name: probe}, schema, ignore_required=True)
    ]


def job_template(
    name: str, pool_type: PoolType, definitions: Sequence[Definition], *, image: str | None = None
) -> Template:
    """Return the job template of a pool, which starts every run in the same way.

    Parameters
    ----------
    definitions
        Deployments; those of this pool define the environments that its runs may have.
    image
        Container image, for pools that start containers.
    """
    found = open_template(name, pool_type)
    fields = found["variables"].get("properties", {})
    fixed = {
        key: each["default"] for key, each in fields.items() if each.get("default") is not None
    }
    # The worker fills in `env` from the deployment.
    fixed |= {"labels": {}, "env": "{{ env }}"} | ({"image": image} if image else {})
    template: Template = {
        "job_configuration": apply_values(found["job_configuration"], fixed),
        "variables": {
            "type": "object",
            "properties": {"env": _allowed_environment(name, definitions)},
            "additionalProperties": False,
        },
    }
    template["variables"][_MARK] = _digest(template)
    return template


def _allowed_environment(name: str, definitions: Sequence[Definition]) -> dict[str, Any]:
    values: dict[str, set[str]] = {}
    for definition in definitions:
        if definition.work_pool.name == name:
            for variable, value in definition.work_pool.job_variables["env"].items():
                values.setdefault(variable, set()).add(value)
    return {
        "title": "Environment Variables",
        "description": "The variables that amnst's deployments set; a run may set no others.",
        "type": "object",
        "properties": {variable: {"enum": sorted(values[variable])} for variable in sorted(values)},
        "additionalProperties": False,
    }


def _digest(template: Template) -> str:
    variables = {key: each for key, each in template["variables"].items() if key != _MARK}
    text = json.dumps({**template, "variables": variables}, sort_keys=True)
    return f"made by amnst deploy, {hashlib.sha256(text.encode()).hexdigest()}"


def open_template(name: str, pool_type: PoolType) -> Template:
    """Return a template that lets a run choose everything: Prefect's, on Kubernetes with a GPU."""
    if pool_type == "kubernetes" and name == GPU:
        text = resources.files("deployments").joinpath("kubernetes/gpu-job-template.json")
        template: Template = json.loads(text.read_text("utf-8"))
        return template
    found = run_coro_as_sync(get_default_base_job_template_for_infrastructure_type(pool_type))
    if found is None:
        raise DeployError(
            f"Prefect has no job template for pools of type {pool_type}; "
            f"install prefect-{pool_type} together with amnst",
            code="no_job_template",
        )
    return found
