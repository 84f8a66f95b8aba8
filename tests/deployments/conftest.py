"""One real Prefect server, set up by `amnst deploy`, for all tests of this folder."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from deployments.definitions import definitions
from deployments.deploy import deploy
from deployments.local_server import Address, running_server
from flows.server.login import login_file
from tests.serving import AMNST


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def free_port():
    return _free_port


def _logged_in(address, login):
    """Use the settings of a client of a server."""
    return temporary_settings({PREFECT_API_URL: address.api, PREFECT_API_AUTH_STRING: login})


@pytest.fixture(scope="session")
def logged_in():
    return _logged_in


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """A server as `amnst serve` starts it, with its own home: its address and its login."""
    home = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        address = Address(_free_port())
        with running_server(address, Event(), allow_hosts=["prefect.example.org"]) as server:
            yield address, server.login


@pytest.fixture(scope="session")
def address(running):
    return running[0]


@pytest.fixture(scope="session")
def login(running):
    return running[1]


@pytest.fixture(scope="session")
def new_client(address, login):
    """A client for another thread: `with new_client() as client`."""

    @contextmanager
    def connected():
        with _logged_in(address, login), get_client(sync_client=True) as client:
            yield client

    return connected


@pytest.fixture
def client(new_client):
    with new_client() as client:
        yield client


@pytest.fixture(scope="session")
def first_changes(new_client):
    """Changes that the first `amnst deploy` made."""
    with new_client() as client:
        return list(deploy(client, definitions()))


@pytest.fixture
def deployed(client, first_changes):
    """A client of the server, after everything is deployed."""
    return client


@pytest.fixture(scope="session")
def eventually():
    """Wait until a call returns a true value, and return it."""

    def wait(call, within_s=180):
        give_up = time.monotonic() + within_s
        while not (found := call()):
            assert time.monotonic() < give_up, f"not within {within_s} s"
            time.sleep(0.3)
        return found

    return wait


@pytest.fixture(scope="module")
def serve_env(tmp_path_factory):
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
def served(serve_env, foreign, free_port, tmp_path_factory, eventually):
    """The running command, its address and what it says."""
    address, folder = Address(free_port()), tmp_path_factory.mktemp("log")
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", AMNST, "serve", "--port", str(address.port)],
            env=serve_env, cwd=foreign, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or "UI: " in out.read_text(), 180)
        assert process.poll() is None, err.read_text()[-2000:]
        yield process, address, out, err
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def secret(served, serve_env):
    """Login that the server asks for."""
    return login_file(Path(serve_env["PREFECT_HOME"])).read_text("utf-8").strip()
