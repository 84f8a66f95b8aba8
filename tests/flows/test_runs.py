"""Runs on a Prefect server, seen from outside."""

import os
import signal
import subprocess
import sys
import time
from uuid import uuid4

import pytest
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from flows.catalog import RenderRequest
from flows.cli import main
from flows.runs import read_run, report_of, retry, schedule, schedules, unschedule
from flows.server import ServerError


def test_a_completed_run_is_not_started_again_and_the_way_out_is_named(completed):
    with pytest.raises(ServerError, match=r"is Completed.*amnst submit.*--force") as caught:
        retry(completed)
    assert caught.value.code == "completed"
    run = read_run(completed)
    assert run.state.is_completed()
    assert run.run_count == 1


def run_of(state):
    return read_run(str(state.state_details.flow_run_id))


def test_the_report_of_a_catalogue_is_in_its_output_folder(rendered):
    run = run_of(rendered.render())
    assert report_of(run) == f"{rendered.output}/results.csv"


def test_a_shard_has_its_catalogues_report(rendered):
    run = run_of(rendered.render())
    shard = {"catalog_run_id": str(run.id), "request": run.parameters["request"]}
    of_shard = run.model_copy(update={"id": uuid4(), "parameters": {"shard": shard}})
    assert report_of(of_shard) == f"{rendered.output}/results.csv"


def test_a_catalogues_run_is_called_after_its_manifest(rendered):
    assert run_of(rendered.render()).name == rendered.manifest.stem


def test_a_catalogue_that_was_refused_and_another_flow_have_no_report(rendered, completed):
    rendered.rows = [dict(rendered.rows[0], strength="7")]
    assert report_of(run_of(rendered.render())) is None
    assert report_of(read_run(completed)) is None


def test_the_command_ends_with_2_for_a_completed_run(completed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["retry", completed, "--wait"])
    assert caught.value.code == 2
    assert "[completed]" in capsys.readouterr().err


def test_ctrl_c_ends_the_waiting_and_not_the_run(deployment, tmp_path):
    deployment()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from flows.cli import main; main()"),
            *("submit", str(tmp_path / "m.csv"), "--output", str(tmp_path / "out"), "--wait"),
        ],
        env={**os.environ, "PREFECT_API_URL": get_current_settings().api.url},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    run_id = process.stdout.readline().strip()
    time.sleep(2)  # until it waits
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"the run goes on at the server: {run_id}" in err
    assert not read_run(run_id).state.is_final()


def times():
    return [(each.slug, each.schedule.cron, each.active) for each in schedules()]


def set_times(cron, *, output="out", active=False):
    request = RenderRequest(manifest="m.csv", output=output)
    schedule(request, cron=cron, timezone="UTC", name="nightly", active=active)


def test_a_second_schedule_of_a_name_takes_the_place_of_the_first(deployment):
    deployment()
    set_times("0 3 * * *", active=True)
    (first,) = schedules()
    set_times("0 4 * * *", output="other")
    (second,) = schedules()
    assert second.id == first.id, "it was never away"
    assert times() == [("nightly", "0 4 * * *", False)]
    assert second.parameters["request"]["output"] == "other"


def test_a_schedule_is_removed_by_name_and_an_unknown_name_is_refused(deployment):
    deployment()
    set_times("0 3 * * *")
    with pytest.raises(ServerError, match="no schedule is named weekly; there are: nightly"):
        unschedule("weekly")
    unschedule("nightly")
    assert times() == []


def test_without_deployments_the_way_out_is_named():
    with pytest.raises(ServerError, match="`amnst deploy` makes the deployments") as caught:
        set_times("0 3 * * *")
    assert caught.value.code == "not_found"
    assert isinstance(caught.value.__cause__, ObjectNotFound)
