"""A hostile page in the operator's own browser gets nothing from `amnst serve`."""

import os
import subprocess
import sys

import httpx
import pytest

from flows.server.login import login_file
from tests.e2e.browser import CHROMIUM, attack, log_in, page
from tests.e2e.cluster import AMNST, until
from tests.servers import free_ports

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason="Chromium is not installed"),
]

REBOUND = "--host-resolver-rules=MAP evil.test 127.0.0.1"
"""The name of a hostile page leads to this machine, as its owner can arrange at any time."""


class Served:
    """A running `amnst serve`."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.ui = f"http://127.0.0.1:{port}"
        self.api = f"{self.ui}/api"
        self.home = folder / "prefect"
        self.owned = folder / "owned"

    @property
    def login(self):
        return login_file(self.home).read_text("utf-8").strip()

    def ask(self, path, body):
        """Return the API's answer to a client with the login and a CSRF token."""
        auth = tuple(self.login.split(":"))
        with httpx.Client(base_url=f"{self.api}/", auth=auth) as client:
            token = client.get("csrf-token", params={"client": "test"}).json()["token"]
            headers = {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token}
            return client.post(path, json=body, headers=headers).raise_for_status().json()

    def attacked(self, browser, place, api):
        return attack(browser, place, api, f"touch {self.owned}")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    ours = Served(folder, free_ports(1)[0])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "AMNST_"))}
    environment = kept | {
        "PREFECT_HOME": str(ours.home),
        "AMNST_STORE_URI": str(folder / "store"),
        "AMNST_SCRATCH": str(folder / "scratch"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, AMNST, "serve", "--port", str(ours.port)],
            env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
        )  # fmt: skip

    def at_work():
        assert process.poll() is None, log.read_text()[-2000:]
        return log.read_text().count("' started!") == 2

    try:
        until(at_work, timeout_s=180, what="server and workers")
        yield ours
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def unharmed(served):
    """After the test there must be no run, and no command was executed."""
    yield served
    assert served.ask("flow_runs/count", {}) == 0
    assert [
        flow["name"] for flow in served.ask("flows/filter", {}) if flow["name"] == "hostile"
    ] == []
    assert not served.owned.exists()


def test_a_person_logs_in_to_the_ui_with_the_line_of_the_file(served):
    with page() as ui:
        log_in(ui, served.ui, served.login)
        ui.goto(f"{served.ui}/v2/deployments")
        ui.get_by_text("render-catalog").first.wait_for(timeout=60_000)


def test_the_ui_also_works_under_another_name_of_the_machine(served):
    with page() as ui:
        log_in(ui, f"http://localhost:{served.port}", served.login)


def test_without_the_login_the_ui_shows_nothing(served):
    with page() as ui:
        ui.goto(f"{served.ui}/v2/deployments")
        ui.get_by_placeholder("admin:pass").wait_for(timeout=60_000)
        assert ui.get_by_text("render-catalog").count() == 0


def test_a_page_of_another_origin_reads_nothing_and_starts_nothing(unharmed):
    with page(REBOUND) as browser:
        log_in(browser, unharmed.ui, unharmed.login)
        seen = unharmed.attacked(browser, "http://elsewhere.test/page", unharmed.api)
    # Opaque: sent, refused, and what was answered is not shown to the page.
    unreadable = dict.fromkeys(("read", "token", "flow", "run", "simple run"), "TypeError")
    assert seen == unreadable | {"read without CORS": "opaque", "run without CORS": "opaque"}


def test_a_page_whose_name_leads_here_reads_nothing_and_starts_nothing(unharmed):
    """For the browser it is the server's own page: no CORS applies, and it may send any header."""
    place = f"http://evil.test:{unharmed.port}"
    with page(REBOUND) as browser:
        log_in(browser, unharmed.ui, unharmed.login)
        seen = unharmed.attacked(browser, f"{place}/page", f"{place}/api")
    assert set(seen.values()) == {421}, seen
