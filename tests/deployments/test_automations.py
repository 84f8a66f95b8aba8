"""Runs that nobody would end: what the server makes of them, on a real one."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Pending, Running
from prefect.types._datetime import now

from deployments.automations import ensure_automation, lost_runs, stuck_runs

BEAT_S = 4
MANIFEST = {"manifest": "s3://bucket/night.csv", "output": "s3://bucket/night"}


def beat(client, run_id, *tags):
    """What a flow run sends every some seconds."""
    related = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in tags
    ]
    event = {
        "id": str(uuid4()),
        "occurred": now("UTC").isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
        "related": related,
        "payload": {},
    }
    client.request("POST", "/events", json=[event])


@pytest.fixture
def watched(deployed, eventually):
    """A server whose automations wait seconds instead of minutes."""
    for automation in (lost_runs(BEAT_S), stuck_runs(10)):
        quick = automation.model_copy(update={"name": f"quick-{automation.name}"})
        ensure_automation(deployed, quick, dry_run=False)
    return deployed


@flow
def any_flow():
    """Its runs are only told of, never started."""


def test_those_who_make_one_automation_at_once_leave_one(deployed, address):
    desired = lost_runs(BEAT_S).model_copy(update={"name": "at-once"})
    together = Barrier(4)

    def make(_):
        with (
            temporary_settings({PREFECT_API_URL: address.api}),
            get_client(sync_client=True) as client,
        ):
            client.hello()
            together.wait()
            ensure_automation(client, desired, dry_run=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    (one,) = deployed.read_automations_by_name("at-once")
    deployed.delete_automation(one.id)


def start(client, state, *tags):
    run = client.create_flow_run(any_flow, tags=tags, state=Pending())
    if state is not None:
        client.set_flow_run_state(run.id, state)
    return run.id


def test_lost_and_stuck_runs_crash_and_no_others(watched):
    client = watched
    runs = {
        "silent": start(client, Running(), "amnst"),
        "beating": start(client, Running(), "amnst"),
        "finished": start(client, Running(), "amnst"),
        "stuck": start(client, None, "amnst"),
        "foreign": start(client, Running()),
    }
    for name in ("silent", "finished"):
        beat(client, runs[name], "amnst")
    beat(client, runs["foreign"])
    client.set_flow_run_state(runs["finished"], Completed())
    give_up = time.monotonic() + 90
    states = {}
    while time.monotonic() < give_up and states.get("Crashed", 0) < 2:
        beat(client, runs["beating"], "amnst")
        time.sleep(BEAT_S)
        found = {name: client.read_flow_run(run_id).state for name, run_id in runs.items()}
        names = [state.name for state in found.values()]
        states = {name: names.count(name) for name in names}
    assert {name: state.name for name, state in found.items()} == {
        "silent": "Crashed",
        "beating": "Running",
        "finished": "Completed",
        "stuck": "Crashed",
        "foreign": "Running",
    }
    assert "its machine is lost" in found["silent"].message
    assert "its worker is lost" in found["stuck"].message


def token(address):
    answer = httpx.get(f"{address.api}/csrf-token", params={"client": "s3-notifier"})
    return {
        "Prefect-Csrf-Client": "s3-notifier",
        "Prefect-Csrf-Token": answer.json()["token"],
    }


def created_event():
    """What a bucket's notification is turned into."""
    return {
        "id": str(uuid4()),
        "occurred": now("UTC").isoformat(),
        "event": "amnst.manifest.created",
        "resource": {"prefect.resource.id": f"amnst.manifest.{MANIFEST['manifest']}"},
        "payload": MANIFEST,
    }


def test_a_created_manifest_starts_its_catalogue(deployed, address, eventually):
    answer = httpx.post(f"{address.api}/events", json=[created_event()], headers=token(address))
    assert answer.status_code == 204
    ours = FlowRunFilter(tags=FlowRunFilterTags(all_=["amnst"]))

    def started():
        found = deployed.read_flow_runs(flow_run_filter=ours, sort=FlowRunSort.ID_DESC, limit=50)
        return [run for run in found if run.parameters.get("request") == MANIFEST]

    (run,) = eventually(started)
    assert run.work_pool_name == "control"


def test_a_page_of_another_origin_can_start_nothing(address):
    answer = httpx.post(f"{address.api}/events", json=[created_event()])
    assert answer.status_code == 403
    assert "CSRF" in answer.text


def test_a_page_of_another_origin_cannot_read_the_token(address):
    def readable_by(origin):
        url, client = f"{address.api}/csrf-token", {"client": "page"}
        answer = httpx.get(url, params=client, headers={"Origin": origin})
        return answer.headers.get("access-control-allow-origin")

    assert readable_by("https://elsewhere.example") is None
    assert readable_by(address.ui) == address.ui
