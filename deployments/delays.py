"""Delay of a Prefect server, measured from outside."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import SyncPrefectClient

_PREFIX = "prefect.task-run."
_PAGE = 50


def event_delay_s(client: SyncPrefectClient, *, give_up_s: float) -> float | None:
    """Return the seconds until an event that is sent now can be read; None after `give_up_s`."""
    started, event_id = time.monotonic(), str(uuid4())
    event = {
        "id": event_id,
        "occurred": datetime.now(UTC).isoformat(),
        "event": "amnst.doctor.asked",
        "resource": {"prefect.resource.id": "amnst.doctor"},
        "payload": {},
    }
    client.request("POST", "/events", json=[event])
    while (delay := time.monotonic() - started) < give_up_s:
        if _events(client, {"id": {"id": [event_id]}}):
            return delay
        time.sleep(0.2)
    return None


def unrecorded_delay_s(client: SyncPrefectClient) -> float:
    """Return the age in seconds of the oldest recent task run event that no run shows yet."""
    wanted: dict[str, object] = {"event": {"prefix": [_PREFIX]}, "order": "DESC"}
    latest: dict[str, datetime] = {}
    for event in _events(client, wanted):
        run_id = event["resource"]["prefect.resource.id"].removeprefix(_PREFIX)
        latest.setdefault(run_id, datetime.fromisoformat(event["occurred"]))
    body = {"task_runs": {"id": {"any_": list(latest)}}, "limit": _PAGE}
    runs = client.request("POST", "/task_runs/filter", json=body).json() if latest else []
    shown = {run["id"]: datetime.fromisoformat(run["state"]["timestamp"]) for run in runs}
    behind = [at for run_id, at in latest.items() if run_id not in shown or shown[run_id] < at]
    return max(((datetime.now(UTC) - at).total_seconds() for at in behind), default=0.0)


def _events(client: SyncPrefectClient, wanted: dict[str, object]) -> list[dict[str, Any]]:
    body = {"filter": wanted, "limit": _PAGE}
    found: list[dict[str, Any]] = client.request("POST", "/events/filter", json=body).json()[
        "events"
    ]
    return found
