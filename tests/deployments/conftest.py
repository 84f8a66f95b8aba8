"""One real Prefect server, set up by `amnst deploy`, for all tests of this folder."""

import socket
import time
from threading import Event

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.definitions import definitions
from deployments.deploy import deploy
from deployments.serve import Address, running_server


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def free_port():
    return _free_port


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """A server as `amnst serve` starts it, with a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("server")))
        address = Address(_free_port())
        with running_server(address, Event()):
            yield address


@pytest.fixture
def client(address):
    with temporary_settings({PREFECT_API_URL: address.api}), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="session")
def first_changes(address):
    """What the first `amnst deploy` did."""
    with temporary_settings({PREFECT_API_URL: address.api}), get_client(sync_client=True) as client:
        return list(deploy(client, definitions()))


@pytest.fixture
def deployed(client, first_changes):
    """A client of the server with everything on it."""
    return client


@pytest.fixture(scope="session")
def eventually():
    """Wait until a call returns something true; return that."""

    def wait(call, within_s=60):
        give_up = time.monotonic() + within_s
        while not (found := call()):
            assert time.monotonic() < give_up, f"not within {within_s} s"
            time.sleep(0.3)
        return found

    return wait
