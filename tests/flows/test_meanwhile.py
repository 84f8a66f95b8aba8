"""The listening page while a catalogue is rendered, and its link in the UI."""

import json
from pathlib import Path

import pytest
from prefect import get_client

from flows import meanwhile
from flows.meanwhile import MeanwhilePage
from flows.requests import RenderRequest
from tasks.report.parts import result_log
from tasks.report.results import RowResult
from tasks.running.workspace import Workspace


def data_of(page: Path) -> dict:
    text = page.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    return json.loads(text)


@pytest.fixture
def request_of(tmp_path):
    return RenderRequest(manifest=str(tmp_path / "m.csv"), output=str(tmp_path / "out"))


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "store"), str(tmp_path / "scratch"))


def test_the_page_shows_the_pairs_so_far(tmp_path, request_of, workspace, monkeypatch):
    monkeypatch.setattr(meanwhile, "_FIRST_S", 0.0)
    page = MeanwhilePage(workspace, request_of, "run-1", n_asked=3)
    with result_log(workspace) as log:
        log.add(RowResult(line=2, id="a", status="failed", error="it is too short"))
        page.show(log)
        first = data_of(tmp_path / "out" / "index.html")
        log.add(RowResult(line=3, id="b", status="skipped"))
        page.show(log)
    assert (first["n_asked"], first["columns"]["id"]) == (3, ["a"])
    assert data_of(tmp_path / "out" / "index.html") == first, "the next is due in half a minute"
    assert not (tmp_path / "out" / "results.csv").exists()


def test_a_page_that_cannot_be_written_stops_no_catalogue(
    tmp_path, request_of, workspace, monkeypatch, caplog
):
    monkeypatch.setattr(meanwhile, "_FIRST_S", 0.0)
    (tmp_path / "out").write_text("a file where a folder should be")
    with result_log(workspace) as log:
        log.add(RowResult(line=2, id="a", status="failed"))
        MeanwhilePage(workspace, request_of, "run-1", n_asked=3).show(log)
    assert "the listening page is not up to date" in caplog.text


def artifact(run_id: object, key: str) -> str:
    """The content of a run's artifact of this key."""
    wanted = {"artifacts": {"key": {"any_": [key]}, "flow_run_id": {"any_": [str(run_id)]}}}
    with get_client(sync_client=True) as client:
        (found,) = client.request("POST", "/artifacts/filter", json=wanted).json()
    return found["data"]


def test_an_artifact_of_the_catalogue_leads_to_its_page(rendered):
    run_id = rendered.render().state_details.flow_run_id
    link = artifact(run_id, "manifest-listen")
    assert link == f"[Listen]({(rendered.output / 'index.html').as_uri()})"
    assert f"{rendered.output}/index.html" in artifact(run_id, "manifest-report")
