"""`amnst serve` as a user runs it: a new process renders a pair and ends cleanly."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pandas as pd
import pytest
from prefect.client.orchestration import get_client

from deployments.local_server import Address, log_file
from flows.cli.app import main
from flows.server.login import lock_file, login_file, served_at
from nst_core import __version__
from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import ambience, music_piece
from tests.servers import PATIENCE_S

AMNST = "import sys; from flows.cli.app import main; main(sys.argv[1:])"
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
def foreign(tmp_path_factory):
    """A folder with packages that have our names, and with settings of a server."""
    folder = tmp_path_factory.mktemp("foreign")
    for package in ("flows", "deployments"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    (folder / ".env").write_text("PREFECT_SERVER_UI_ENABLED=false\n")
    (folder / "prefect.toml").write_text("[server.ui]\nenabled = false\n")
    return folder


@pytest.fixture(scope="module")
def served(environment, foreign, free_port, tmp_path_factory, eventually):
    """The running command, its address and what it says."""
    address, folder = Address(free_port()), tmp_path_factory.mktemp("log")
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", AMNST, "serve", "--port", str(address.port)],
            env=environment, cwd=foreign, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or "UI: " in out.read_text(), 180)
        assert process.poll() is None, err.read_text()[-2000:]
        yield process, address, out, err
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def secret(served, environment):
    """Login that the server asks for."""
    return login_file(Path(environment["PREFECT_HOME"])).read_text("utf-8").strip()


@pytest.fixture
def online(served, secret, logged_in):
    """Return the names of the live workers of a pool."""
    _, address, _, _ = served

    def names(pool):
        with logged_in(address, secret), get_client(sync_client=True) as client:
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
def test_the_current_folder_gives_it_neither_code_nor_a_servers_settings(served, foreign, online):
    _, address, _, _ = served
    assert online("gpu")
    assert not (foreign / "ran").exists()
    assert httpx.get(address.ui, trust_env=False, follow_redirects=True).status_code == 200


def _n_workers(environment):
    """Number of workers that have said in the log that they have started."""
    log = log_file(Path(environment["PREFECT_HOME"]))
    return log.read_text("utf-8").count("Worker '") if log.exists() else 0


@pytest.mark.e2e
def test_its_terminal_names_the_log_and_the_next_command(served, environment):
    _, address, _, err = served
    said, log = err.read_text(), log_file(Path(environment["PREFECT_HOME"]))
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
def test_a_server_that_cannot_start_says_why(environment, free_port, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=environment | {"PREFECT_HOME": str(tmp_path / "file" / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "file/prefect: Not a directory" in done.stderr
    assert "[bad_home]" in done.stderr


@pytest.mark.e2e
def test_a_server_that_does_not_start_says_why_in_a_line(environment, free_port, tmp_path):
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_text("this is no database\n" * 1000, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=environment | {"PREFECT_HOME": str(tmp_path / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    starting, reason = done.stderr.splitlines()
    assert starting.startswith("starting the Prefect server")
    assert "file is not a database" in reason
    assert str(tmp_path / "prefect") in reason
    assert reason.endswith("[server_ended]")


@pytest.mark.e2e
def test_a_catalogue_is_rendered_by_the_workers(served, environment, tmp_path, eventually):
    """The command finds the server by itself, and the server's terminal says what happens."""
    *_, err = served
    write_audio(tmp_path / "rain.wav", ambience("rain", 2.0, seed=1), SR, format="wav")
    write_audio(tmp_path / "folk.wav", music_piece("folk", 3.0, seed=1), SR, format="wav")
    (tmp_path / "m.csv").write_text("ambience,music,iterations\nrain.wav,folk.wav,2\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "submit", "m.csv", "--output", "out", "--wait"],
        env=environment, cwd=tmp_path, timeout=PATIENCE_S,
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
    served, environment, secret, logged_in, tmp_path, eventually
):
    _, address, _, _ = served
    (tmp_path / "m.csv").write_text("ambience,music\nrain.wav,folk.wav\n", "utf-8")
    nightly = ("m.csv", "--output", "out", "--cron", "0 3 * * *", "--name", "nightly", "--active")
    for command in (("schedule", *nightly), ("unschedule", "nightly")):
        done = subprocess.run(
            [sys.executable, "-c", AMNST, *command],
            env=environment | {"PREFECT_API_URL": address.api}, cwd=tmp_path, timeout=PATIENCE_S,
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
def test_prefects_own_command_lists_what_the_server_has(served, environment, secret):
    _, address, _, _ = served
    login = {"PREFECT_API_URL": address.api, "PREFECT_API_AUTH_STRING": secret}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "ls"],
        env=environment | login | {"COLUMNS": "200"}, timeout=PATIENCE_S,
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


def test_no_other_program_can_take_the_port_while_the_server_starts(free_port):
    """Otherwise another user's program there would receive the login."""
    address = Address(free_port())
    with address.listen(), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", address.port))


@pytest.mark.e2e
def test_a_second_server_on_the_same_database_is_refused(served, environment, free_port):
    _, address, _, _ = served
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=environment, timeout=180, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    home = environment["PREFECT_HOME"]
    assert f"another server already uses PREFECT_HOME {home}, at {address.ui}" in done.stderr
    assert "[home_in_use]" in done.stderr


def test_a_server_without_a_worker_is_refused_before_it_starts(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--workers", "0"])
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert "--workers" in out + err
    assert "starting" not in out + err


@pytest.mark.e2e
def test_the_secret_is_in_a_private_file_and_in_no_log(served, environment, secret):
    _, _, out, err = served
    home = Path(environment["PREFECT_HOME"])
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
def test_another_user_of_the_machine_reads_nothing_and_starts_nothing(served, environment):
    _, address, _, _ = served
    home = Path(environment["PREFECT_HOME"])
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


@pytest.mark.e2e
def test_sigterm_ends_everything(served, environment):
    process, address, _, _ = served
    ours = children(process)
    assert len(ours) == 3
    process.terminate()
    assert process.wait(60) == 0
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]
    address.listen().close()  # the port is free
    lock = lock_file(Path(environment["PREFECT_HOME"]))
    assert lock.read_text() == "", "who listens at that address now is not known"


@pytest.mark.e2e
def test_an_open_server_says_so_and_is_refused_to_other_machines(environment, free_port, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--no-auth", "--allow-host", "prefect.example.org"],
        env=environment | {"PREFECT_HOME": str(tmp_path / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "[no_auth_elsewhere]" in done.stderr


@pytest.fixture
def killed(environment, free_port, tmp_path, eventually):
    """Log and children that `amnst serve --no-auth` leaves when it is killed with -9."""
    own = environment | {"PREFECT_HOME": str(tmp_path / "prefect")}
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", AMNST, "serve", "--no-auth", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=own, stdout=stream, stderr=stream)
    left = set()
    try:
        eventually(lambda: process.poll() is not None or _n_workers(own) >= 2, 180)
        assert process.poll() is None, log.read_text()[-2000:]
        left = children(process)
        process.kill()
        process.wait()
        yield own, log, left
    finally:
        process.kill()
        process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # each leads a session of its own


@pytest.mark.slow
def test_server_and_workers_end_when_serve_is_killed_and_the_next_one_starts(
    killed, free_port, tmp_path, eventually
):
    own, log, left = killed
    assert len(left) == 3
    assert "warning: --no-auth: every user and program of this machine" in log.read_text()
    eventually(lambda: not [pid for pid in left if _is_there(pid)], 90)
    assert served_at(Path(own["PREFECT_HOME"])) is None
    assert not login_file(Path(own["PREFECT_HOME"])).exists(), "none was asked for"
    with (tmp_path / "again").open("wb") as stream:
        command = [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())]
        again = subprocess.Popen(command, env=own, stdout=stream, stderr=stream)
    try:
        eventually(
            lambda: again.poll() is not None or "UI: " in (tmp_path / "again").read_text(), 180
        )
        assert again.poll() is None, (tmp_path / "again").read_text()
    finally:
        again.terminate()
        again.wait(60)


def _is_there(pid):
    """Return whether a process runs; one that nobody has waited for is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_without_a_server_ends_at_once_and_says_why(environment, free_port):
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "worker", "--pool", "gpu"],
        env=environment | {"PREFECT_API_URL": Address(free_port()).api}, timeout=PATIENCE_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("[server_away]\n")
    assert "Traceback" not in done.stderr
