"""`amnst serve` as a user runs it: a fresh process, a pair rendered, a clean end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.serve import Address
from flows.cli import main
from nst_core import __version__
from nst_core.audio import write_audio
from nst_core.synth import ambience, music_piece

AMNST = "import sys; from flows.cli import main; main(sys.argv[1:])"
SR = 22_050


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    kept = ("PATH", "HOME", "PYTHONPATH", "LANG", "TMPDIR", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "AMNST_STORE_URI": str(folder / "store"),
        "AMNST_SCRATCH": str(folder / "scratch"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",  # ten by default
    }


@pytest.fixture(scope="module")
def served(environment, free_port, tmp_path_factory, eventually):
    """The running command, its address and what it says."""
    address, folder = Address(free_port()), tmp_path_factory.mktemp("log")
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", AMNST, "serve", "--port", str(address.port)],
            env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or "UI: " in out.read_text(), 180)
        assert process.poll() is None, err.read_text()[-2000:]
        yield process, address, out, err
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def online(served):
    """Names of the workers at work on a pool."""
    _, address, _, _ = served

    def names(pool):
        with (
            temporary_settings({PREFECT_API_URL: address.api}),
            get_client(sync_client=True) as client,
        ):
            answer = client.request("POST", f"/work_pools/{pool}/workers/filter", json={}).json()
        return {worker["name"] for worker in answer if worker["status"] == "ONLINE"}

    return names


def children(process):
    """Process ids of the server and of the workers."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return {int(pid) for pid in path.read_text().split()}


@pytest.mark.e2e
def test_one_command_has_server_deployments_and_workers(served, online, eventually):
    _, address, out, _ = served
    assert f"UI: {address.ui}\n" in out.read_text()
    (control,) = eventually(lambda: online("control"))
    (gpu,) = eventually(lambda: online("gpu"))
    assert control.endswith(f"-control-{__version__}")
    assert gpu.endswith(f"-gpu-cpu0-{__version__}")


@pytest.mark.e2e
def test_it_says_what_it_waits_for_without_prefects_banner(served):
    _, address, out, err = served
    said = err.read_text()
    server = f"starting the Prefect server at {address.ui}"
    steps = [server, "making deployments", "starting 2 workers"]
    assert [step in said for step in steps] == [True] * 3
    assert sorted(steps, key=said.index) == steps
    for banner in ("|___|", "prefect config set", "Check out the dashboard"):
        assert banner not in said + out.read_text()


@pytest.mark.e2e
def test_a_server_that_cannot_start_says_why(environment, free_port, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=environment | {"PREFECT_HOME": str(tmp_path / "file" / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Failed to create the Prefect home" in done.stderr
    assert "[server_ended]" in done.stderr


@pytest.mark.e2e
def test_a_catalogue_is_rendered_by_the_workers(served, environment, tmp_path):
    _, address, _, _ = served
    write_audio(tmp_path / "rain.wav", ambience("rain", 2.0, seed=1), SR, format="wav")
    write_audio(tmp_path / "folk.wav", music_piece("folk", 3.0, seed=1), SR, format="wav")
    (tmp_path / "m.csv").write_text("ambience,music,iterations\nrain.wav,folk.wav,2\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "submit", "m.csv", "--output", "out", "--wait"],
        env=environment | {"PREFECT_API_URL": address.api}, cwd=tmp_path, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = pd.read_csv(tmp_path / "out" / "results.csv")
    assert list(report["status"]) == ["ok"]
    assert (tmp_path / "out" / "rain__folk.wav").is_file()


@pytest.mark.e2e
def test_a_schedule_that_is_switched_on_plans_its_runs(served, environment, tmp_path, eventually):
    _, address, _, _ = served
    (tmp_path / "m.csv").write_text("ambience,music\nrain.wav,folk.wav\n", "utf-8")
    nightly = ("m.csv", "--output", "out", "--cron", "0 3 * * *", "--name", "nightly", "--active")
    for command in (("schedule", *nightly), ("unschedule", "nightly")):
        done = subprocess.run(
            [sys.executable, "-c", AMNST, *command],
            env=environment | {"PREFECT_API_URL": address.api}, cwd=tmp_path, timeout=120,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if command[0] == "schedule":
            eventually(lambda: _planned(address))


def _planned(address):
    """Runs that the server has set down for later."""
    with (
        temporary_settings({PREFECT_API_URL: address.api}),
        get_client(sync_client=True) as client,
    ):
        scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        return client.request("POST", "/flow_runs/filter", json=scheduled).json()


@pytest.mark.e2e
def test_prefects_own_command_lists_what_the_server_has(served, environment):
    _, address, _, _ = served
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "ls"],
        env=environment | {"PREFECT_API_URL": address.api, "COLUMNS": "200"}, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "render-catalog/control" in done.stdout


@pytest.mark.e2e
def test_a_worker_that_is_killed_is_started_again(served, eventually):
    process, _, _, err = served
    before = children(process)
    victim = next(
        pid for pid in before if b"gpu" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    )
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(children(process) - {victim}) == len(before))
    assert "ended, started again" in err.read_text()


@pytest.mark.e2e
def test_a_port_in_use_is_refused(served, capsys):
    _, address, _, _ = served
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--port", str(address.port)])
    assert caught.value.code == 2
    assert f"port {address.port} of 127.0.0.1" in capsys.readouterr().err


@pytest.mark.e2e
def test_a_second_server_on_the_same_database_is_refused(served, environment, free_port):
    _, address, _, _ = served
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=environment, timeout=180, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"is served at {address.ui} already" in done.stderr
    assert "[home_in_use]" in done.stderr


def test_a_server_without_a_worker_is_refused_before_it_starts(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--workers", "0"])
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert "--workers" in out + err
    assert "starting" not in out + err


@pytest.mark.e2e
def test_sigterm_ends_everything(served, eventually):
    process, address, _, _ = served
    ours = children(process)
    assert len(ours) == 3
    process.terminate()
    assert process.wait(60) == 0
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]
    address.check_free()


@pytest.mark.slow
def test_a_server_that_outlives_a_killed_serve_still_has_its_database(
    environment, free_port, tmp_path, eventually
):
    own = environment | {"PREFECT_HOME": str(tmp_path / "prefect")}
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", AMNST, "serve", "--port"]
    with log.open("wb") as stream:
        process = subprocess.Popen([*command, str(port)], env=own, stdout=stream, stderr=stream)
    left = set()
    try:
        eventually(lambda: process.poll() is not None or "UI: " in log.read_text(), 180)
        left = children(process)
        process.kill()
        process.wait()
        done = subprocess.run(
            [*command, str(free_port())], env=own, timeout=180, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert f"is served at http://127.0.0.1:{port} already" in done.stderr
    finally:
        for pid in left:
            os.killpg(pid, signal.SIGKILL)  # each leads a session of its own


def test_a_worker_without_a_server_ends_at_once_and_says_why(environment, free_port):
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "worker", "--pool", "gpu"],
        env=environment | {"PREFECT_API_URL": Address(free_port()).api}, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "connect" in done.stderr + done.stdout
