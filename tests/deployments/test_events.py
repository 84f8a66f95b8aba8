"""What the terminal of `amnst serve` says about catalogues."""

from threading import Event

import pytest
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import AwaitingRetry, Completed, Failed, Running

from deployments.definitions import definitions
from deployments.events import FLOWS, Watch, tell_events


def test_the_flows_are_those_of_the_deployments_without_the_inbox():
    ours = {definition.flow().name for definition in definitions()}
    assert set(FLOWS) == ours - {"watch-inbox"}


@pytest.fixture
def start(deployed):
    """Create a run of a deployment that no worker takes; return its id."""

    def run(name, title):
        found = deployed.read_deployment_by_name(name)
        request = {"manifest": "/in/night.csv", "output": "/out"}
        made = deployed.create_flow_run_from_deployment(
            found.id, name=title, parameters={"request": request}
        )
        deployed.set_flow_run_state(made.id, Running(), force=True)
        return made.id

    return run


def said(watch, client):
    return [line.partition(" ")[2] for line in watch.news(client)]


def test_each_start_and_end_is_a_line_and_earlier_runs_are_none(deployed, start):
    start("render-catalog/render-manifest", "evening")
    watch = Watch(deployed)
    night = start("render-catalog/render-manifest", "night")
    assert said(watch, deployed) == ["night: started"]
    assert said(watch, deployed) == []
    message = "1 of 9 pairs failed: late; 8 rendered, 0 already done\n- late: no such file"
    deployed.set_flow_run_state(night, Failed(message=message), force=True)
    assert said(watch, deployed) == ["night: Failed: " + message.splitlines()[0]]
    deployed.set_flow_run_state(night, AwaitingRetry(), force=True)
    assert said(watch, deployed) == []
    deployed.set_flow_run_state(night, Completed(), force=True)
    assert said(watch, deployed) == ["night: Completed"]


def test_an_unreachable_server_is_asked_again(
    address, login, logged_in, free_port, eventually, caplog
):
    stop, lines = Event(), []
    with (
        logged_in(type(address)(free_port()), login),
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        caplog.at_level("DEBUG", "deployments.events"),
    ):
        thread = tell_events(lines.append, stop, poll_s=0.1)
        eventually(lambda: caplog.text.count("no events: ") > 1)
    stop.set()
    thread.join(60)
    assert (thread.is_alive(), lines) == (False, [])
