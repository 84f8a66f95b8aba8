"""One real Prefect server, set up by `amnst deploy`, for all tests of this folder."""

import socket
import time
from contextlib import contextmanager
from threading import Event

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from deployments.definitions import definitions
from deployments.deploy import deploy
from deployments.local_server import Address, running_server


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
