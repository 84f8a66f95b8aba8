"""Actions and final state of a check of an inbox."""

import json

import pytest

from flows.server.connection import CATALOG_DEPLOYMENT
from flows.watch_inbox import InboxRequest, watch_inbox

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "songs.csv").write_text("ambience,music\nrain.wav,folk.wav\n")
    return tmp_path / "inbox"


@pytest.fixture
def look(inbox, environment, tmp_path):
    """Check the inbox once, and return the final state."""

    def run():
        request = InboxRequest(inbox=str(inbox), output=str(tmp_path / "output"), settle_s=0)
        with environment(tmp_path):
            return watch_inbox(request, return_state=True)

    return run


def test_a_broken_manifest_is_refused_and_the_check_completes(look, inbox):
    (inbox / "songs.csv").write_text("ambience\nrain.wav\n")
    state = look()
    assert state.is_completed()
    assert state.message == f"{inbox}/songs.csv: refused"
    assert "music" in (inbox / "songs.csv.errors.txt").read_text()
    assert look().message == "nothing new"


def test_a_check_fails_while_the_server_refuses_a_run_and_the_next_one_starts_it(
    look, inbox, deployment
):
    (inbox / "broken.csv").write_text("ambience\nrain.wav\n")
    state = look()
    assert state.is_failed()
    assert f"deployment {CATALOG_DEPLOYMENT} is unknown" in state.message
    assert f"{inbox}/broken.csv: refused" in state.message, "one must not block the other"
    assert look().is_failed(), "it is still not started"
    deployment()
    state = look()
    assert state.is_completed()
    assert f"{inbox}/songs.csv: started as" in state.message
    assert json.loads((inbox / "songs.csv.started.json").read_text())["run_id"]
    assert look().message == "nothing new"


def test_a_check_fails_while_the_store_of_manifests_is_unreachable(look, inbox):
    (inbox / "songs.csv.started.json").mkdir()
    state = look()
    assert state.is_failed()
    assert "songs.csv.started.json: cannot" in state.message
    (inbox / "songs.csv.started.json").rmdir()
