"""Automations that end lost runs, on a real server."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Barrier, Event
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Completed, Pending, Running

from deployments.automations import ensure_automation, lost_runs, stuck_runs

BEAT_S = 8
PENDING_S = 25
"""Both are several times as long as a busy server takes to read an event."""
MANIFEST = {"manifest": "s3://bucket/night.csv", "output": "s3://bucket/night"}


def beat(client, run_id, *tags):
    """Send what a flow run sends every few seconds."""
    related = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in tags
    ]
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
        "related": related,
        "payload": {},
    }
    client.request("POST", "/events", json=[event])


@contextmanager
def beating(new_client, *run_ids):
    """Send heartbeats every second; yields the pauses between them, in seconds."""
    over = Event()
    pauses = []

    def keep_beating():
        last = time.monotonic()
        with new_client() as client:
            while not over.wait(1):
                for run_id in run_ids:
                    beat(client, run_id, "amnst")
                pauses.append(time.monotonic() - last)
                last = time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        beats = pool.submit(keep_beating)
        try:
            yield pauses
        finally:
            over.set()
        beats.result()


@pytest.fixture
def watched(deployed, eventually):
    """A server whose automations wait seconds instead of minutes."""
    for automation in (lost_runs(BEAT_S), stuck_runs(PENDING_S)):
        quick = automation.model_copy(update={"name": f"quick-{automation.name}"})
        ensure_automation(deployed, quick, dry_run=False)
    return deployed


@flow
def any_flow():
    """Flow whose runs are only created, never started."""


def test_concurrent_deploys_leave_one_automation(deployed, new_client):
    desired = lost_runs(BEAT_S).model_copy(update={"name": "at-once"})
    together = Barrier(4)

    def make(_):
        with new_client() as client:
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


def fates(client, new_client):
    """State of one run of each kind in the end, and the longest pause between heartbeats."""
    runs = {
        "silent": start(client, Running(), "amnst"),
        "beating": start(client, Running(), "amnst"),
        "finished": start(client, Running(), "amnst"),
        "stuck": start(client, None, "amnst"),
        "unnoticed": start(client, None, "amnst"),  # it has begun, and the server missed that
        "foreign": start(client, Running()),
    }

    def states():
        return {name: client.read_flow_run(run_id).state for name, run_id in runs.items()}

    with beating(new_client, runs["beating"], runs["unnoticed"]) as pauses:
        for name in ("silent", "finished"):
            beat(client, runs[name], "amnst")
        beat(client, runs["foreign"])
        client.set_flow_run_state(runs["finished"], Completed())
        give_up = time.monotonic() + 100
        while time.monotonic() < give_up:
            found = states()
            if found["silent"].is_crashed() and found["stuck"].is_crashed():
                break
            time.sleep(1)
        return states(), max(pauses)


@pytest.mark.slow  # a minute where all goes well, and minutes where a request of the server hangs
def test_lost_and_stuck_runs_crash_and_no_others(watched, new_client):
    for _ in range(5):
        states, pause_s = fates(watched, new_client)
        # Otherwise the machine stood still: the server mistook live runs for lost ones, or its own
        # action ran into a time limit, which it does not repeat.
        if pause_s < BEAT_S / 2:
            break
    assert {name: state.name for name, state in states.items()} == {
        "silent": "Crashed",
        "beating": "Running",
        "finished": "Completed",
        "stuck": "Crashed",
        "unnoticed": "Pending",
        "foreign": "Running",
    }
    assert "its machine is lost" in states["silent"].message
    assert "its worker is lost" in states["stuck"].message


@pytest.fixture
def notifier(address, login):
    """Program that turns a bucket's notifications into events, with the login."""
    with httpx.Client(base_url=f"{address.api}/", auth=tuple(login.split(":"))) as client:
        yield client


def token(client):
    answer = client.get("csrf-token", params={"client": "s3-notifier"})
    return {
        "Prefect-Csrf-Client": "s3-notifier",
        "Prefect-Csrf-Token": answer.json()["token"],
    }


def created_event():
    """Return the event for a bucket's notification."""
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "amnst.manifest.created",
        "resource": {"prefect.resource.id": f"amnst.manifest.{MANIFEST['manifest']}"},
        "payload": MANIFEST,
    }


def test_a_created_manifest_starts_its_catalogue(deployed, notifier, eventually):
    answer = notifier.post("events", json=[created_event()], headers=token(notifier))
    assert answer.status_code == 204
    ours = FlowRunFilter(tags=FlowRunFilterTags(all_=["amnst"]))

    def started():
        found = deployed.read_flow_runs(flow_run_filter=ours, sort=FlowRunSort.ID_DESC, limit=50)
        return [run for run in found if run.parameters.get("request") == MANIFEST]

    (run,) = eventually(started)
    assert run.work_pool_name == "control"


def test_without_the_csrf_token_nothing_is_started(notifier):
    answer = notifier.post("events", json=[created_event()])
    assert answer.status_code == 403
    assert "CSRF" in answer.text


def test_without_the_login_nothing_is_started_or_read(address, notifier):
    started = httpx.post(f"{address.api}/events", json=[created_event()], headers=token(notifier))
    seen = httpx.get(f"{address.api}/csrf-token", params={"client": "page"})
    assert (started.status_code, seen.status_code) == (401, 401)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example"}, 421),
    ],
    ids=["a page elsewhere", "a file or sandbox", "a rebound name"],
)
def test_another_origin_or_name_reads_nothing_even_with_the_login(notifier, headers, status):
    answer = notifier.get("csrf-token", params={"client": "page"}, headers=headers)
    assert answer.status_code == status
    assert "token" not in answer.text


def test_a_proxys_name_that_is_allowed_is_served(notifier):
    proxied = {"Host": "prefect.example.org", "Origin": "https://prefect.example.org"}
    answer = notifier.get("csrf-token", params={"client": "page"}, headers=proxied)
    assert answer.json()["token"]


def test_the_ui_reads_the_token_under_both_names_of_the_machine(address, notifier):
    for origin in (address.ui, f"http://localhost:{address.port}"):
        answer = notifier.get("csrf-token", params={"client": "ui"}, headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
