"""Runs on a Prefect server, controlled from outside."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Timer
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry, Cancelled, Completed, Failed, Running, Scheduled

from flows.requests import RenderRequest
from flows.server.connection import ServerError
from flows.server.runs import cancel, read_run, retry, submit
from flows.server.schedules import schedule, schedules, unschedule
from flows.server.waiting import Pace, report_of, wait_for
from flows.settings import Settings
from tasks.report.parts import CATALOG, result_log
from tests.command_line import main

pytestmark = pytest.mark.usefixtures("prefect")


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


def test_it_has_that_name_while_it_waits(deployment):
    assert read_run(submitted(deployment)).name == "m"


def test_a_catalogue_that_was_refused_and_another_flow_have_no_report(rendered, completed):
    rendered.rows = [dict(rendered.rows[0], strength="7")]
    assert report_of(run_of(rendered.render())) is None
    assert report_of(read_run(completed)) is None


def submitted(deployment):
    """Id of a catalogue's run that waits for a worker."""
    deployment()
    return str(submit(RenderRequest(manifest="s3://b/m.csv", output="s3://b/out")).id)


def test_a_report_is_found_where_the_server_has_lost_the_page(deployment, tmp_path, monkeypatch):
    monkeypatch.setenv("AMNST_STORE_URI", str(tmp_path / "store"))
    monkeypatch.setenv("AMNST_SCRATCH", str(tmp_path / "scratch"))
    run = read_run(submitted(deployment))
    assert report_of(run) is None
    with result_log(Settings().workspace()) as log:
        log.publish(str(run.id), CATALOG)
    assert report_of(run) == "s3://b/out/results.csv"


def set_state(run_id, state):
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(run_id), state, force=True)


def test_a_run_that_waits_is_cancelled_at_once_even_if_it_had_a_process_before(deployment):
    run_id = submitted(deployment)
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(run_id), infrastructure_pid="machine:1")
    set_state(run_id, AwaitingRetry())
    cancel(run_id)
    assert read_run(run_id).state.is_cancelled()
    with pytest.raises(ServerError, match=r"is Cancelled.*amnst retry") as caught:
        cancel(run_id)
    assert caught.value.code == "ended"


def test_a_running_run_is_asked_to_stop_and_ended_without_an_answer(deployment):
    run_id = submitted(deployment)
    set_state(run_id, Running())
    for _ in range(2):
        cancel(run_id)
        assert read_run(run_id).state.type == StateType.CANCELLING
    with pytest.raises(ServerError, match="`amnst cancel`") as caught:
        retry(run_id)
    assert caught.value.code == "not_final"
    cancel(run_id, stopping_s=0)
    assert read_run(run_id).state.is_cancelled()


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        (Completed(message="3 pairs"), 0, "Completed: 3 pairs\n"),
        (Failed(message="1 of 3"), 1, "Failed: 1 of 3\nfix the problem, then: amnst retry "),
        (Cancelled(message="asked"), 1, "Cancelled: asked\nto continue: amnst retry "),
    ],
)
def test_waiting_for_a_run_returns_how_it_ended(deployment, capsys, state, code, said):
    run_id = submitted(deployment)
    set_state(run_id, state)
    with pytest.raises(SystemExit) as caught:
        main(["wait", run_id])
    assert caught.value.code == code
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("state", "due_s", "n_warnings"),
    [("Late", -61, 1), ("AwaitingRetry", -61, 1), ("Late", -20, 0), ("Scheduled", 60, 0)],
)
def test_a_run_that_no_worker_takes_for_a_minute_is_reported_once(
    deployment, state, due_s, n_warnings
):
    run_id, said = submitted(deployment), []
    set_state(
        run_id, Scheduled(name=state, scheduled_time=datetime.now(UTC) + timedelta(seconds=due_s))
    )
    end = Timer(2.0, set_state, [run_id, Cancelled()])
    end.start()
    _, ended = wait_for(run_id, said.append, lambda _: None, pace=Pace(poll_s=0.2))
    end.join()
    assert ended.is_cancelled()
    assert len(said) == n_warnings
    assert all("amnst doctor lists the running ones" in warning for warning in said)


def test_waiting_shows_how_far_a_catalogue_is(deployment):
    run_id, shown = submitted(deployment), []
    set_state(run_id, Running())

    def show(percent):
        shown.append(percent)
        if percent:
            set_state(run_id, Completed())
        else:
            with get_client(sync_client=True) as client:
                bar = {"key": "m-progress", "type": "progress", "data": 42.0, "flow_run_id": run_id}
                client.request("POST", "/artifacts/", json=bar)

    wait_for(run_id, pytest.fail, show, pace=Pace(poll_s=0.2, show_s=0))
    assert shown == [0, 42]


def test_the_command_cancels_a_run_and_ends_with_2_for_one_that_has_ended(deployment, capsys):
    run_id = submitted(deployment)
    for code, said in ((0, "stopped\n"), (2, "[ended]")):
        with pytest.raises(SystemExit) as caught:
            main(["cancel", run_id])
        assert caught.value.code == code
        assert said in capsys.readouterr().err


def test_the_command_ends_with_2_for_a_completed_run(completed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["retry", completed, "--wait"])
    assert caught.value.code == 2
    assert "[completed]" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_and_not_the_run(deployment, tmp_path, number):
    deployment()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from flows.cli.command import main; main()"),
            *("submit", str(tmp_path / "m.csv"), "--output", str(tmp_path / "out"), "--wait"),
        ],
        env={
            **os.environ,
            "PREFECT_API_URL": get_current_settings().api.url,
            "PYTHONUNBUFFERED": "",  # then Python keeps what it prints to a pipe
        },
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    run_id = process.stdout.readline().strip()
    time.sleep(2)  # until it waits
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.endswith(f"the run continues on the server: {run_id}\n")
    assert not read_run(run_id).state.is_final()


@pytest.mark.parametrize("command", [["submit"], ["schedule", "--cron", "0 3 * * *"]])
def test_what_only_the_workers_may_see_is_named_and_not_refused(
    deployment, tmp_path, capsys, command
):
    deployment()
    (tmp_path / "here.csv").write_text("ambience,music\ns3://b/sounds/a.wav,s3://b/sounds/m.wav\n")
    options = ("--output", str(tmp_path / "out"), "--input-root", "s3://b/sounds")
    for manifest, said in (("here.csv", False), ("gone.csv", True)):
        with pytest.raises(SystemExit) as caught:
            main([*command, str(tmp_path / manifest), *options])
        err = capsys.readouterr().err
        assert caught.value.code == 0
        assert (f"{tmp_path}/{manifest} is not on this machine" in err) == said
        assert ("[not_here]" in err) == said
    with pytest.raises(SystemExit):
        main([*command, str(tmp_path / "here.csv"), *options, "--input-root", "/sonds"])
    assert "/sonds is not on this machine" in capsys.readouterr().err


def test_a_manifest_of_this_machine_is_checked_before_it_is_submitted(deployment, tmp_path, capsys):
    deployment()
    manifest = tmp_path / "m.csv"
    manifest.write_text("ambience,music,strength\na.wav,m.wav,70%\n")
    command = ["submit", str(manifest), "--output", str(tmp_path / "out")]
    for options, code in (([], 2), (["--skip-invalid"], 0)):
        with pytest.raises(SystemExit) as caught:
            main([*command, *options])
        assert caught.value.code == code
        out, err = capsys.readouterr()
        assert bool(out) == (code == 0), "the id of a run"
        assert ("70%" in err) == (code == 2)
        assert err.endswith(f"to see it end: amnst wait {out}") == (code == 0)


def test_wrong_times_are_refused_in_plain_words(deployment, tmp_path, capsys):
    deployment()
    options = ["--output", str(tmp_path / "out"), "--cron", "0 3 * *"]
    with pytest.raises(SystemExit) as caught:
        main(["schedule", str(tmp_path / "m.csv"), *options])
    assert caught.value.code == 2
    assert "amnst: --cron = '0 3 * *': Invalid cron string" in capsys.readouterr().err


def times():
    return [(each.slug, each.schedule.cron, each.active) for each in schedules()]


def set_times(cron, *, output="out", active=False):
    request = RenderRequest(manifest="m.csv", output=output)
    return schedule(request, cron=cron, timezone="UTC", name="nightly", active=active)


def test_a_second_schedule_of_a_name_replaces_the_first(deployment):
    deployment()
    assert set_times("0 3 * * *", active=True) is None
    (first,) = schedules()
    assert set_times("0 4 * * *", output="other") == "m.csv"
    (second,) = schedules()
    assert second.id == first.id, "it was never away"
    assert times() == [("nightly", "0 4 * * *", False)]
    assert second.parameters["request"]["output"] == "other"


def test_a_schedule_is_removed_by_name_and_an_unknown_name_is_refused(deployment):
    deployment()
    set_times("0 3 * * *")
    with pytest.raises(
        ServerError, match="no schedule is named weekly; existing schedules: nightly"
    ):
        unschedule("weekly")
    unschedule("nightly")
    assert times() == []


def test_without_deployments_the_way_out_is_named():
    with pytest.raises(ServerError, match="`amnst deploy` creates the deployments") as caught:
        set_times("0 3 * * *")
    assert caught.value.code == "not_found"
    assert isinstance(caught.value.__cause__, ObjectNotFound)
