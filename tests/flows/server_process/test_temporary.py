"""The server of one command: only the command uses it, and it ends with the command."""

import base64
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from flows.server_process.empty_database import copy_empty_database, keep_empty_database
from tests.limits import full_disk
from tests.servers import PATIENCE_S

HOLDER = """
import json, os, subprocess, sys, time
from pathlib import Path
from flows.server_process.temporary import TemporaryServer
server = TemporaryServer(Path(sys.argv[1]), verbose=False)
server.wait()
told = {**server.environment, "pid": server._process.popen.pid, "folder": str(server._folder)}
if "children" in sys.argv:  # as decoders and workers are, forked and started
    if not os.fork():
        time.sleep(600)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
from prefect.context import refresh_global_settings_context
from prefect.utilities.urls import url_for
os.environ.update(server.environment)
refresh_global_settings_context()
told["page"] = url_for("flow-run", obj_id="00000000-0000-0000-0000-000000000000")
print(json.dumps(told), flush=True)
sys.stdin.read()
"""
AWS = {"AWS_SECRET_ACCESS_KEY": "of-the-operator", "PREFECT_SERVER_DATABASE_NAME": "theirs"}
RUN = {
    "name": "attack",
    "flow_id": "00000000-0000-0000-0000-000000000000",
    "job_variables": {"command": "touch /tmp/attacked"},
}


class Held:
    """A process with a temporary server, and what it reports about it."""

    def __init__(self, home, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home), *arguments],
            env={**os.environ, **AWS}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        told = json.loads(line)
        self.api, self.secret = told["PREFECT_API_URL"], told["PREFECT_API_AUTH_STRING"]
        self.pid, self.folder = told["pid"], Path(told["folder"])
        self.page = told["page"]
        self.host = self.api.removeprefix("http://").removesuffix("/api")

    def is_alive(self):
        try:
            httpx.get(f"{self.api}/health", trust_env=False, timeout=30)
        except httpx.ConnectError:
            return False
        return True

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def is_gone(held):
    """Wait until the server's process is gone, though its parent may not have reaped it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state = Path(f"/proc/{held.pid}/stat")
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="/proc is Linux's")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A PREFECT_HOME whose database is that of an `amnst serve`, for all servers of this module."""
    folder = tmp_path_factory.mktemp("100 % ä & b? #1")
    (folder / "prefect.db").write_bytes(b"the database of serve")
    return folder


@pytest.fixture(scope="module")
def held(home):
    held = Held(home)
    yield held
    held.end()


def ask(held, method, path, **headers):
    known = {"host": held.host} | headers
    url = f"{held.api}{path}"
    return httpx.request(method, url, headers=known, json=RUN, trust_env=False, timeout=60)


def login(held):
    return {"Authorization": f"Basic {base64.b64encode(held.secret.encode()).decode()}"}


def test_a_page_of_another_origin_cannot_start_a_command(held):
    for path in ("/flow_runs/", "/deployments/", "/csrf-token?client=1"):
        method = "GET" if path.startswith("/csrf") else "POST"
        assert ask(held, method, path, origin="http://evil.example").status_code == 403
        knowing = {**login(held), "origin": "http://evil.example"}
        assert ask(held, method, path, **knowing).status_code == 403


def test_a_page_of_another_origin_is_not_allowed_to_ask(held):
    wanted = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = ask(held, "OPTIONS", "/flow_runs/", **wanted)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_rebound_name_is_refused(held):
    assert ask(held, "POST", "/flow_runs/", host="evil.example").status_code == 421
    assert ask(held, "GET", "/health", host="evil.example:4200").status_code == 421


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/flow_runs/"),
        ("POST", "/flow_runs/filter"),
        ("GET", "/admin/settings"),
        ("GET", "/admin/version"),
        ("GET", "/csrf-token?client=1"),
        ("DELETE", "/block_types/00000000-0000-0000-0000-000000000000"),
    ],
)
def test_without_the_secret_the_server_reveals_and_does_nothing(held, method, path):
    assert ask(held, method, path).status_code in {401, 403}
    wrong = {"Authorization": "Basic d3Jvbmc="}
    assert ask(held, method, path, **wrong).status_code in {401, 403}


def test_with_the_secret_alone_nothing_is_changed(held):
    """A page cannot read the CSRF token, which Prefect also asks for."""
    answer = ask(held, "POST", "/flow_runs/", **login(held))
    assert (answer.status_code, answer.json()["detail"]) == (403, "Missing CSRF token.")


def test_a_request_without_the_secret_only_learns_that_the_server_is_alive(held):
    assert ask(held, "GET", "/health").json() is True
    assert httpx.get(held.api.removesuffix("/api"), trust_env=False).status_code == 404  # no UI


def greeting(held, path, token):
    """What a websocket answers to a login."""
    url = held.api.replace("http:", "ws:") + path
    with connect(url, subprotocols=["prefect"], proxy=None, open_timeout=60) as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        return json.loads(socket.recv(timeout=60))


@pytest.mark.parametrize("path", ["/events/in", "/events/out", "/logs/out"])
def test_events_and_logs_are_for_those_who_have_the_secret(held, path):
    for token in (None, "wrong"):
        with pytest.raises(ConnectionClosed):
            greeting(held, path, token)
    assert greeting(held, path, held.secret) == {"type": "auth_success"}


def test_a_page_of_another_origin_opens_no_websocket(held):
    url = held.api.replace("http:", "ws:") + "/events/in"
    with pytest.raises(InvalidStatus):
        connect(url, origin="http://evil.example", proxy=None, open_timeout=60)


def test_without_a_ui_no_page_of_a_run_is_named(held):
    assert held.page is None


def test_its_database_is_its_own_and_private(held, home):
    assert (home / "prefect.db").read_bytes() == b"the database of serve"
    assert held.folder.is_relative_to(home)
    assert stat.S_IMODE(held.folder.stat().st_mode) == 0o700
    (database,) = held.folder.glob("*.db")
    for file in held.folder.glob("*.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    found = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    with contextlib.closing(found):
        assert found.execute("SELECT count(*) FROM flow_run").fetchone() == (0,)


@linux
def test_it_has_neither_credentials_nor_another_servers_settings(held):
    environment = Path(f"/proc/{held.pid}/environ").read_bytes().decode()
    for name, value in AWS.items():
        assert name not in environment
        assert value not in environment
    assert held.secret in environment
    assert held.secret not in Path(f"/proc/{held.pid}/cmdline").read_bytes().decode()


@linux
def test_a_terminals_ctrl_c_does_not_reach_it(held):
    assert os.getpgid(held.pid) == os.getsid(held.pid) == held.pid
    os.killpg(held.process.pid, 0)  # the command leads another group


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_gone_when_its_command_is_killed_though_children_live(held, home, number):
    """`held` is another command, whose server and secret are others."""
    other = Held(home, "children")
    try:
        assert other.host != held.host
        assert ask(other, "GET", "/admin/version", **login(held)).status_code == 401
        assert ask(other, "GET", "/admin/version", **login(other)).status_code == 200
        other.process.send_signal(number)
        other.process.wait(timeout=60)
        assert is_gone(other)
        assert not other.is_alive()
        os.killpg(other.process.pid, 0)  # its children are there
    finally:
        other.end()
    assert held.is_alive()
    assert held.folder.is_dir()


def test_its_folder_is_removed_by_its_command_or_after_a_kill_by_the_next(held, home):
    left = home / "temporary" / "left"
    left.mkdir()
    (left / "in-use").touch()
    ended = Held(home)
    assert not left.exists()
    assert ended.folder.is_dir()
    ended.process.communicate(timeout=PATIENCE_S)  # its stdin closes, it ends by itself
    assert ended.process.returncode == 0
    assert not ended.folder.exists()
    assert not ended.is_alive()
    assert held.folder.is_dir()


def test_an_empty_database_is_kept_and_copied(held, home, tmp_path):
    (kept,) = (home / "temporary").glob("empty-*.db")
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    copy = tmp_path / "copy.db"
    assert copy_empty_database(home / "temporary", copy)
    assert [path.stat().st_mode & 0o077 for path in (kept, copy)] == [0, 0]
    with contextlib.closing(sqlite3.connect(copy)) as found:
        assert found.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_empty_database_is_removed(damage, tmp_path):
    made, folder = tmp_path / "made.db", tmp_path / "kept"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(made)) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('a')")
    keep_empty_database(made, folder)
    (kept,) = folder.iterdir()
    assert copy_empty_database(folder, tmp_path / "copy.db")
    if damage == "changed":  # as another Prefect's migration would
        with contextlib.closing(sqlite3.connect(kept)) as database, database:
            database.execute("UPDATE alembic_version SET version_num = 'ffff'")
    else:
        kept.write_bytes(kept.read_bytes()[:1000] if damage == "cut" else b"")
    assert not copy_empty_database(folder, tmp_path / "second.db")
    assert not (tmp_path / "second.db").exists()
    assert list(folder.iterdir()) == []


@pytest.mark.server
def test_a_server_that_cannot_start_says_so_with_its_own_last_words(tmp_path):
    with full_disk(100_000):  # which it inherits: its database does not fit
        said = start_in_vain(tmp_path)
    assert said.startswith("Prefect's temporary server did not start: ")
    assert "disk" in said
    assert str(tmp_path) in said
    assert said.endswith("[server_ended]")


def test_a_full_disk_is_named_before_the_server_starts(home, tmp_path, held):
    shutil.copytree(
        home / "temporary", tmp_path / "temporary", ignore=lambda _, names: {
            name for name in names if not name.startswith("empty-")
        },
    )  # fmt: skip
    with full_disk(100_000):
        said = start_in_vain(tmp_path)
    assert said.startswith(f"PREFECT_HOME {tmp_path}: File too large; make room there")
    assert said.endswith("[bad_home]")


def start_in_vain(home):
    code = (
        "import sys; from pathlib import Path; from nst_core.errors import NSTError\n"
        "from flows.server_process.temporary import TemporaryServer\n"
        "try: TemporaryServer(Path(sys.argv[1]), verbose=False).wait()\n"
        "except NSTError as error: sys.exit(f'{error} [{error.code}]')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    *_, said = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    return said
