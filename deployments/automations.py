"""Automations that end runs whose process or worker is gone, and that start catalogues."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import PrefectHTTPStatusError

from deployments.changes import Change, differing
from deployments.definitions import Definition

_OVER = {"Completed", "Failed", "Crashed", "Cancelled"}
_WAITING = {"Scheduled", "AwaitingRetry", "Late", "Paused", "Suspended"}
_CLAIMED = {"Pending", "Submitting", "InfrastructurePending"}
_HEARTBEAT = "prefect.flow-run.heartbeat"

MISSED_HEARTBEATS = 3
PENDING_S = 900
"""Longer than a catalogue waits for its own shards: this limit is for runs without a parent."""


def lost_runs(heartbeat_s: int) -> AutomationCore:
    """Return the automation that marks runs without heartbeats as Crashed, to be retried."""
    return _watch(
        "amnst-lost-runs",
        "Marks a run as Crashed when its machine is lost.",
        after={_HEARTBEAT},
        expect={_HEARTBEAT, *_events(_OVER | _WAITING)},
        within_s=MISSED_HEARTBEATS * heartbeat_s,
        message=f"no heartbeat for {MISSED_HEARTBEATS * heartbeat_s} s: its machine is lost",
    )


def stuck_runs(pending_s: int = PENDING_S) -> AutomationCore:
    """Return the automation that marks claimed runs that never began as Crashed.

    Such runs have no heartbeat.
    """
    return _watch(
        "amnst-stuck-runs",
        "Marks a run as Crashed when the worker that claimed it has died.",
        after=_events(_CLAIMED),
        # The server reads several events at a time. It may read a Running before the Pending that
        # precedes it, and then ignores it. Each heartbeat shows again that the run has begun.
        expect={_HEARTBEAT, *_events({"Running", "Cancelling"} | _OVER | _WAITING)},
        within_s=pending_s,
        message=f"claimed but not started for {pending_s} s: its worker is lost",
    )


def _watch(
    name: str, description: str, *, after: set[str], expect: set[str], within_s: int, message: str
) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after=after,
            expect=expect,
            match=_resource({"prefect.resource.id": "prefect.flow-run.*"}),
            # Leave other people's flows on the same server alone.
            match_related=_resource(
                {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.amnst"}
            ),
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name=None, message=message)],
    )


def _resource(labels: dict[str, str]) -> ResourceSpecification:
    return ResourceSpecification.model_validate(labels)


def _events(states: Iterable[str]) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def triggers_of(definition: Definition, deployment_id: UUID) -> list[AutomationCore]:
    """Return the automations that start a deployment."""
    triggers = definition.trigger_types()
    for trigger in triggers:
        trigger.set_deployment_id(deployment_id)
    return [trigger.as_automation() for trigger in triggers]


def ensure_automation(
    client: SyncPrefectClient, desired: AutomationCore, *, dry_run: bool
) -> Change:
    """Create or update an automation; if it is switched off, it stays off."""
    found = next(iter(_named(client, desired.name)), None)
    if found is None:
        if not dry_run:
            client.create_automation(desired)
            _remove_doubles(client, desired.name)
        return Change("automation", desired.name, "create")
    fields = differing(_content(desired), _content(found))
    if not fields:
        return Change("automation", desired.name, "keep")
    if not dry_run:
        client.update_automation(found.id, _update(desired, enabled=found.enabled))
    return Change("automation", desired.name, "update", fields)


def _named(client: SyncPrefectClient, name: str) -> list[Automation]:
    """Return the automations of a name, in an order that all clients agree on."""
    return sorted(client.read_automations_by_name(name), key=lambda each: each.id)


def _remove_doubles(client: SyncPrefectClient, name: str) -> None:
    """Keep one: two deploys at once can create two automations of a name, and both would act."""
    for double in _named(client, name)[1:]:
        try:
            client.delete_automation(double.id)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:  # another deploy was faster
                raise


def _update(desired: AutomationCore, *, enabled: bool) -> AutomationCore:
    # The server knows the owner and refuses it as a field.
    fields = desired.model_dump(exclude={"owner_resource", "enabled"})
    return AutomationCore(**fields, enabled=enabled)


def _content(automation: AutomationCore) -> dict[str, Any]:
    return automation.model_dump(mode="json", include={"description", "trigger", "actions"})
