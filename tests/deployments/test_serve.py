"""`amnst serve` as a user runs it: a new process renders a pair and ends cleanly."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pandas as pd
import pytest
from prefect.client.orchestration import get_client

from deployments.local_server import log_file
from flows.server.login import lock_file, login_file
from nst_core import __version__
from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import ambience, music_piece
from tests.command_line import main
from tests.servers import PATIENCE_S
from tests.serving import AMNST, children

SR = 22_050


@pytest.fixture
def online(served, secret, logged_in):
    """Return the names of the live workers of a pool."""
    _, address, _, _ = served

    def names(pool):
        with logged_in(address, secret), get_client(sync_client=True) as client:
            answer = client.request("POST", f"/work_pools/{pool}/workers/filter", json={}).json()
        return {worker["name"] for worker in answer if worker["status"] == "ONLINE"}

    return names


@pytest.mark.e2e
def test_one_command_has_server_deployments_and_workers(served, online, eventually):
    _, address, out, _ = served
    assert f"UI: {address.ui}\n" in out.read_text()
    (control,) = eventually(lambda: online("control"))
    (gpu,) = eventually(lambda: online("gpu"))
    assert control.endswith(f"-control-{__version__}")
    assert gpu.endswith(f"-gpu-cpu0-{__version__}")


@pytest.mark.e2e
def test_the_current_folder_gives_it_neither_code_nor_a_servers_settings(served, foreign, online):
    _, address, _, _ = served
    assert online("gpu")
    assert not (foreign / "ran").exists()
    assert httpx.get(address.ui, trust_env=False, follow_redirects=True).status_code == 200


@pytest.mark.e2e
def test_its_terminal_names_the_log_and_the_next_command(served, serve_env):
    _, address, _, err = served
    said, log = err.read_text(), log_file(Path(serve_env["PREFECT_HOME"]))
    assert f"log of server and workers: {log}\n" in said
    assert "  amnst submit manifest.csv --output out --wait\n" in said
    assert f"  export PREFECT_API_URL={address.api}\n" in said
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.e2e
def test_it_says_what_it_waits_for_without_prefects_banner(served):
    _, address, out, err = served
    said = err.read_text()
    server = f"starting the Prefect server at {address.ui}"
    steps = [server, "creating deployments", "starting 2 workers"]
    assert [step in said for step in steps] == [True] * 3
    assert sorted(steps, key=said.index) == steps
    for banner in ("|___|", "prefect config set", "Check out the dashboard"):
        assert banner not in said + out.read_text()


@pytest.mark.e2e
def test_a_catalogue_is_rendered_by_the_workers(served, serve_env, tmp_path, eventually):
    """The command finds the server by itself, and the server's terminal says what happens."""
    *_, err = served
    write_audio(tmp_path / "rain.wav", ambience("rain", 2.0, seed=1), SR, format="wav")
    write_audio(tmp_path / "folk.wav", music_piece("folk", 3.0, seed=1), SR, format="wav")
    (tmp_path / "m.csv").write_text("ambience,music,iterations\nrain.wav,folk.wav,2\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "submit", "m.csv", "--output", "out", "--wait"],
        env=serve_env, cwd=tmp_path, timeout=PATIENCE_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    eventually(lambda: " m: Completed: 1 pair: 1 rendered" in err.read_text())
    for line in (" m: started\n", " m 1 of 1 (row 1): started\n", " m 1 of 1 (row 1): Completed"):
        assert line in err.read_text()
    report = pd.read_csv(tmp_path / "out" / "results.csv")
    assert list(report["status"]) == ["ok"]
    assert (tmp_path / "out" / "rain__folk.wav").is_file()


@pytest.mark.e2e
def test_a_schedule_that_is_switched_on_plans_its_runs(
    served, serve_env, secret, logged_in, tmp_path, eventually
):
    _, address, _, _ = served
    (tmp_path / "m.csv").write_text("ambience,music\nrain.wav,folk.wav\n", "utf-8")
    nightly = ("m.csv", "--output", "out", "--cron", "0 3 * * *", "--name", "nightly", "--active")
    for command in (("schedule", *nightly), ("unschedule", "nightly")):
        done = subprocess.run(
            [sys.executable, "-c", AMNST, *command],
            env=serve_env | {"PREFECT_API_URL": address.api}, cwd=tmp_path, timeout=PATIENCE_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if command[0] == "schedule":
            with logged_in(address, secret):
                eventually(_planned)


def _planned():
    """Return the runs that the server has planned."""
    with get_client(sync_client=True) as client:
        scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        return client.request("POST", "/flow_runs/filter", json=scheduled).json()


@pytest.mark.e2e
def test_prefects_own_command_lists_what_the_server_has(served, serve_env, secret):
    _, address, _, _ = served
    login = {"PREFECT_API_URL": address.api, "PREFECT_API_AUTH_STRING": secret}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "ls"],
        env=serve_env | login | {"COLUMNS": "200"}, timeout=PATIENCE_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "render-catalog/render-manifest" in done.stdout


@pytest.mark.e2e
def test_a_worker_that_is_killed_is_started_again(served, eventually):
    process, _, _, err = served
    before = children(process)
    victim = next(
        pid for pid in before if b"gpu" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    )
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(children(process) - {victim}) == len(before))
    assert "ended; starting it again" in err.read_text()


@pytest.mark.e2e
def test_a_port_in_use_is_refused(served, capsys):
    _, address, _, _ = served
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--port", str(address.port)])
    assert caught.value.code == 2
    assert f"port {address.port} of 127.0.0.1" in capsys.readouterr().err


@pytest.mark.e2e
def test_a_second_server_on_the_same_database_is_refused(served, serve_env, free_port):
    _, address, _, _ = served
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=serve_env, timeout=180, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    home = serve_env["PREFECT_HOME"]
    assert f"another server already uses PREFECT_HOME {home}, at {address.ui}" in done.stderr
    assert "[home_in_use]" in done.stderr


@pytest.mark.e2e
def test_the_secret_is_in_a_private_file_and_in_no_log(served, serve_env, secret):
    _, _, out, err = served
    home = Path(serve_env["PREFECT_HOME"])
    assert f"log in to the UI with the whole line in {login_file(home)}\n" in err.read_text()
    password = secret.partition(":")[2]
    assert len(password) > 40
    assert password not in out.read_text() + err.read_text()
    assert home.stat().st_mode & 0o777 == 0o700
    for file in home.rglob("*"):
        if not file.is_file() or file == login_file(home):
            continue
        assert password.encode() not in file.read_bytes(), file.name
    for name in (login_file(home).name, lock_file(home).name, "prefect.db", "prefect.db-wal"):
        assert (home / name).stat().st_mode & 0o777 == 0o600, name


ATTACK = """
import json, sys, urllib.error, urllib.request
from pathlib import Path

home, api = Path(sys.argv[1]), sys.argv[2]
seen = {}
for name in ("amnst-login", "prefect.db"):
    try:
        seen[name] = len((home / name).read_bytes())
    except OSError as error:
        seen[name] = type(error).__name__
run = {
    "flow_id": "00000000-0000-0000-0000-000000000000",
    "work_pool_name": "gpu",
    "job_variables": {"command": "touch /tmp/owned"},
    "state": {"type": "SCHEDULED"},
}
for what, path, body in (
    ("csrf", "csrf-token?client=me", None),
    ("settings", "admin/settings", None),
    ("runs", "flow_runs/filter", {}),
    ("start", "flow_runs/", run),
    ("deploy", "deployments/", {}),
    ("event", "events", []),
):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{api}/{path}", data, {"Content-Type": "application/json"})
    try:
        seen[what] = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        seen[what] = error.code
for environ in Path("/proc").glob("[0-9]*/environ"):
    try:
        if b"PREFECT_API_AUTH_STRING" in environ.read_bytes():
            seen["environ"] = str(environ)
    except OSError:
        pass
print(json.dumps(seen))
"""

NOBODY = 65534


@pytest.mark.e2e
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_reads_nothing_and_starts_nothing(served, serve_env):
    _, address, _, _ = served
    home = Path(serve_env["PREFECT_HOME"])
    # Only the home must keep others out, so pytest's folders above it are opened.
    above = [each for each in home.parents if "/pytest-" in str(each)]
    shut = {each: stat.S_IMODE(each.stat().st_mode) for each in above}
    for folder, mode in shut.items():
        folder.chmod(mode | 0o055)
    try:
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ATTACK, home, address.api], user=NOBODY, group=NOBODY,
            extra_groups=[], env={"PATH": "/usr/bin"}, cwd="/", timeout=PATIENCE_S,
            capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    finally:
        for folder, mode in shut.items():
            folder.chmod(mode)
    seen = json.loads(done.stdout or done.stderr)
    for file in ("amnst-login", "prefect.db"):
        assert seen.pop(file) == "PermissionError", file
    assert (seen.pop("csrf"), seen.pop("settings")) == (401, 401)
    # Without the token, which the login would give, Prefect answers that first.
    assert seen == dict.fromkeys(("runs", "start", "deploy", "event"), 403)
