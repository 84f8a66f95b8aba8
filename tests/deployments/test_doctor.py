"""Findings of the doctor on a real server, and on one with problems."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.automations import AutomationCore
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled

from deployments import doctor
from deployments.database import database_of
from deployments.definitions import definitions
from deployments.delays import event_delay_s, unrecorded_delay_s
from deployments.doctor import Finding, examine_scratch, examine_server, examine_store
from deployments.pools import open_template
from nst_core import __version__
from tasks.running.workspace import Workspace
from tests.command_line import main
from tests.servers import web_server


@pytest.fixture
def examined(deployed):
    """Return the findings by subject."""

    def examine(**options):
        findings = examine_server(deployed, definitions(), **options)
        return {found.subject: found for found in findings}

    return examine


@pytest.fixture
def beat(deployed):
    """Send heartbeats for workers of these names."""
    present = []

    def send(pool, *names):
        for name in names:
            deployed.send_worker_heartbeat(pool, name, heartbeat_interval_seconds=30)
            present.append((pool, name))

    yield send
    for pool, name in present:
        deployed._client.delete(f"/work_pools/{pool}/workers/{name}")


@pytest.mark.slow
def test_a_pool_without_a_live_worker_is_named(examined, beat):
    subject = "workers for shards and training"
    assert examined()[subject].level == "fault"
    assert "none is running" in examined()[subject].text
    assert "amnst worker --pool gpu" in examined()[subject].text
    beat("gpu", f"node-gpu0-{__version__}")
    assert examined()[subject] == Finding("ok", subject, f"1 running: node-gpu0-{__version__}")


@pytest.mark.slow
def test_a_paused_pool_is_named(examined, deployed):
    deployed.update_work_pool("control", WorkPoolUpdate(is_paused=True))
    assert "paused" in examined()["workers for catalogues"].text
    deployed.update_work_pool("control", WorkPoolUpdate(is_paused=False))


@pytest.mark.slow
def test_a_pool_that_lets_runs_choose_their_command_is_named(examined, deployed):
    subject = "job template of pool gpu"
    assert subject not in examined()
    ours = deployed.read_work_pool("gpu").base_job_template
    edited = open_template("gpu", "process")
    deployed.update_work_pool("gpu", WorkPoolUpdate(base_job_template=edited))
    found = examined()[subject]
    deployed.update_work_pool("gpu", WorkPoolUpdate(base_job_template=ours))
    assert found.level == "warning"
    assert "runs may choose their command, env, " in found.text


@pytest.mark.slow
def test_a_worker_of_another_version_is_named(examined, beat):
    beat("gpu", f"node-gpu0-{__version__}", "node-gpu1-0.0.1")
    found = examined()
    assert "version" not in found
    assert found["worker node-gpu1-0.0.1"].level == "fault"
    assert "it runs amnst 0.0.1" in found["worker node-gpu1-0.0.1"].text
    assert f"worker node-gpu0-{__version__}" not in found


@pytest.mark.slow
def test_a_worker_without_a_version_in_its_name_is_listed(examined, beat):
    beat("gpu", "big-box")
    assert examined()["version"].text == (
        f"amnst {__version__} everywhere; no version in these worker names: big-box"
    )


@pytest.mark.slow
def test_a_deployment_of_another_version_or_missing_is_named(examined, deployed):
    assert examined()["version"].level == "ok"
    found = deployed.read_deployment_by_name("train-classifier/train")
    deployed.update_deployment(found.id, DeploymentUpdate(version="0.0.1"))
    assert "of amnst 0.0.1" in examined()["deployment train-classifier/train"].text
    deployed.update_deployment(found.id, DeploymentUpdate(version=__version__))
    missing = definitions()[0].model_copy(update={"name": "gone"})
    findings = {each.subject: each for each in examine_server(deployed, [missing])}
    assert findings["deployment render-catalog/gone"].level == "fault"


@pytest.mark.slow
def test_workers_of_two_machines_need_another_database_than_sqlite(examined, beat):
    beat("gpu", f"one-gpu0-{__version__}", f"one-gpu1-{__version__}")
    assert examined()["database"].level == "ok"
    beat("control", f"two-control-{__version__}")
    findings = list(doctor._database(_sqlite(), ["one-gpu0-1.0", "two-gpu0-1.0"]))
    assert "workers of 2 machines (one, two)" in findings[0].text
    assert findings[0].level == "warning"


def _sqlite():
    return doctor.Database("SQLite", single_machine=True, size=1)


def test_a_database_that_has_grown_is_named():
    (found,) = doctor._database(doctor.Database("SQLite", single_machine=True, size=3 * 10**9), [])
    assert found.level == "warning"
    assert "3.0 GB" in found.text


@pytest.mark.slow
def test_a_server_elsewhere_shows_how_it_passes_messages(deployed):
    # The settings of this process name another database file than the server's.
    found = database_of(deployed)
    assert found.single_machine
    assert "memory" in found.kind or found.size


@pytest.mark.slow
def test_events_are_timed_from_writing_to_reading(deployed):
    assert 0 < event_delay_s(deployed, give_up_s=60) < 60
    assert event_delay_s(deployed, give_up_s=0) is None


@pytest.mark.slow
def test_a_recorder_that_is_behind_is_seen(deployed, eventually):
    """Sends the event of a task run that no recorder has seen."""
    assert unrecorded_delay_s(deployed) == 0
    lost = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.task-run.Completed",
        "resource": {"prefect.resource.id": f"prefect.task-run.{uuid4()}"},
        "payload": {},
    }
    deployed.request("POST", "/events", json=[lost])
    assert eventually(lambda: unrecorded_delay_s(deployed)) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("due_s", "n_more"), [(-61, 1), (-5, 0), (60, 0)])
def test_runs_that_wait_for_a_minute_are_counted(deployed, due_s, n_more):
    @flow
    def waiting():
        """Is not started."""

    def n_waiting():
        (found,) = doctor._waiting_runs(deployed)
        assert found.level == "ok", "shards queue behind a worker"
        return 0 if found.text == "none" else int(found.text.split()[0])

    before = n_waiting()  # other tests may have left some
    due = datetime.now(UTC) + timedelta(seconds=due_s)
    deployed.create_flow_run(waiting, state=Scheduled(scheduled_time=due))
    assert n_waiting() == before + n_more


@pytest.mark.slow
def test_a_schedule_that_plans_nothing_is_named(examined, deployed):
    subject = "schedule of render-catalog/nightly"
    found = deployed.read_deployment_by_name("render-catalog/nightly")
    assert subject not in examined()
    (times,) = found.schedules
    deployed.update_deployment_schedule(found.id, times.id, active=True)
    try:
        assert examined()[subject].level == "ok", "it has just been switched on"
        planned = {"deployments": {"id": {"any_": [str(found.id)]}}}
        for run in deployed.request("POST", "/flow_runs/filter", json=planned).json():
            deployed.delete_flow_run(run["id"])
        assert examined(planned_within_s=0.0)[subject].level == "fault"
        request = {"manifest": "m.csv", "output": "out"}
        run = deployed.create_flow_run_from_deployment(found.id, parameters={"request": request})
        assert examined(planned_within_s=0.0)[subject].level == "ok"
        deployed.delete_flow_run(run.id)
    finally:
        deployed.update_deployment_schedule(found.id, times.id, active=False)


@pytest.mark.slow
def test_an_automation_that_is_off_is_named(examined, deployed):
    assert "automation amnst-lost-runs" not in examined()
    (found,) = deployed.read_automations_by_name("amnst-lost-runs")
    fields = found.model_dump(exclude={"id", "owner_resource", "enabled"})
    deployed.update_automation(found.id, AutomationCore(**fields, enabled=False))
    assert "switched off" in examined()["automation amnst-lost-runs"].text
    deployed.update_automation(found.id, AutomationCore(**fields, enabled=True))


def test_a_server_that_does_not_answer_is_the_only_finding(free_port):
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}),
        get_client(sync_client=True) as client,
    ):
        (found,) = examine_server(client, definitions())
    assert found.level == "fault"
    assert "does not answer" in found.text


def test_an_error_without_a_text_is_named_by_its_kind(free_port):
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}),
        get_client(sync_client=True) as client,
    ):
        assert "(ReadTimeout)" in doctor._silent(client, httpx.ReadTimeout(""))


@pytest.mark.parametrize(
    ("status", "seen"),
    [(500, "500 broken; see its log"), (401, "401 broken; set PREFECT_API_AUTH")],
)
def test_a_server_that_fails_in_the_middle_is_a_fault_and_not_a_traceback(status, seen):
    with (
        web_server((200, "true"), (200, '"3.8.8"'), (status, "broken")) as url,
        temporary_settings({PREFECT_API_URL: f"{url}/api"}),
        get_client(sync_client=True) as client,
    ):
        well, found = examine_server(client, definitions())
    assert (well.level, found.level) == ("ok", "fault")
    assert f"answers {seen}" in found.text


def test_a_store_that_cannot_be_written_is_a_fault_and_a_good_one_keeps_its_promises(tmp_path):
    assert {found.level for found in examine_store(str(tmp_path / "store"))} == {"ok"}
    (tmp_path / "file").write_text("", "utf-8")
    (found,) = examine_store(str(tmp_path / "file" / "store"))
    assert found.level == "fault"
    assert "AMNST_STORE_URI" in found.text


def test_details_that_are_well_are_only_shown_on_request(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AMNST_STORE_URI", str(tmp_path / "store"))
    n_lines = []
    for options in ([], ["--verbose"]):
        with pytest.raises(SystemExit):
            main(["doctor", *options])
        n_lines.append(len(capsys.readouterr().out.splitlines()))
    assert n_lines[0] == 2, "store and scratch folder"
    assert n_lines[1] > 5
    fault = Finding("fault", "store P1", "torn", detail=True)
    assert fault.is_shown(verbose=False)


def test_free_space_in_the_scratch_folder_is_reported_and_an_unusable_folder(tmp_path):
    (found,) = examine_scratch(Workspace("store", str(tmp_path / "scratch")))
    assert found.level == "ok"
    assert found.text.endswith("GB free")
    (found,) = examine_scratch(Workspace("store", "/proc/none"))
    assert found.level == "fault"
    assert "AMNST_SCRATCH" in found.text


def test_the_command_ends_with_1_for_a_fault_and_0_without_one(tmp_path, monkeypatch, capsys):
    for place, code in ((tmp_path / "store", 0), (tmp_path / "store" / "file" / "x", 1)):
        monkeypatch.setenv("AMNST_STORE_URI", str(place))
        with pytest.raises(SystemExit) as caught:
            main(["doctor"])
        assert caught.value.code == code
        (tmp_path / "store" / "file").write_text("", "utf-8")
    assert "need attention" in capsys.readouterr().err


def test_without_a_server_the_command_checks_only_store_and_scratch(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AMNST_STORE_URI", str(tmp_path / "store"))
    with pytest.raises(SystemExit) as caught:
        main(["doctor"])
    assert caught.value.code == 0
    assert capsys.readouterr().err == (
        "store and scratch folder passed all checks; server and workers were not checked: "
        "PREFECT_API_URL is not set, and no amnst serve runs here\n"
    )


@pytest.mark.slow
def test_with_a_server_the_command_checks_everything(
    deployed, address, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("AMNST_STORE_URI", str(tmp_path / "store"))
    with temporary_settings({PREFECT_API_URL: address.api}), pytest.raises(SystemExit) as caught:
        main(["doctor"])
    assert caught.value.code == 1, "no worker is alive"
    out, err = capsys.readouterr()
    assert "workers for shards and training: none is running" in out
    assert "need attention" in err
    assert "not looked at" not in err
