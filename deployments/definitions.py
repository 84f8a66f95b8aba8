"""Deployments of prefect.yaml, as values."""

from importlib import import_module, resources
from typing import Any

import yaml
from prefect.events import DeploymentTriggerTypes
from prefect.flows import Flow
from pydantic import BaseModel, ConfigDict, TypeAdapter

CONTROL, GPU = "control", "gpu"


class Pool(BaseModel):
    """Work pool of a deployment's runs, and their job variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    job_variables: dict[str, Any]


class Slots(BaseModel):
    """Limit on a deployment's concurrent runs, and what happens to runs beyond it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int
    collision_strategy: str


class Definition(BaseModel):
    """Deployment as defined in prefect.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    work_pool: Pool
    concurrency_limit: Slots | None = None
    schedules: tuple[dict[str, Any], ...] = ()
    triggers: tuple[dict[str, Any], ...] = ()

    @property
    def full_name(self) -> str:
        """Name on the server: flow and deployment."""
        return f"{self.flow().name}/{self.name}"

    def flow(self) -> Flow[..., Any]:
        """Return the flow itself; imports its module."""
        module, _, function = self.entrypoint.rpartition(".")
        found: Flow[..., Any] = getattr(import_module(module), function)
        return found

    def trigger_types(self) -> list[DeploymentTriggerTypes]:
        """Return the triggers, validated by Prefect's own types."""
        one: TypeAdapter[DeploymentTriggerTypes] = TypeAdapter(DeploymentTriggerTypes)
        return [one.validate_python(dict(trigger)) for trigger in self.triggers]


def definitions() -> tuple[Definition, ...]:
    """Return all deployments of this package."""
    text = resources.files("deployments").joinpath("prefect.yaml").read_text("utf-8")
    return tuple(Definition.model_validate(each) for each in yaml.safe_load(text)["deployments"])


def heartbeat_s() -> int:
    """Return the seconds between heartbeats of a flow run, which all deployments share."""
    (seconds,) = {
        int(each.work_pool.job_variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        for each in definitions()
    }
    return seconds
