"""A shard that is retried alone corrects page and state of its catalogue's run, which has ended."""

import shutil

import pytest
from prefect import flow, get_client
from prefect.states import Cancelled, Completed, Failed

from flows.catalog import open_catalog
from flows.render_shard import render_shard
from flows.requests import RenderRequest
from flows.server.runs import read_run
from tasks.report.parts import CATALOG, result_log
from tasks.running.workspace import Workspace

ENDS = {"failed": Failed, "cancelled": Cancelled, "completed": Completed}


@flow(name="ended", persist_result=False)
def _ended(end: str):
    return ENDS[end](message="2 of 3 pairs failed: before")


@pytest.fixture
def retry_shard(finished, make_catalogue, tmp_path, environment):
    """Run the only shard of a catalogue whose run has ended; return the id of that run."""

    def run(end, rows=finished.rows):
        catalogue = make_catalogue(tmp_path / "retried")
        catalogue.rows = rows
        shutil.copytree(finished.root / "store", catalogue.root / "store")
        workspace = Workspace(str(catalogue.root / "store"), str(catalogue.root / "scratch"))
        run_id = str(_ended(end, return_state=True).state_details.flow_run_id)
        with result_log(workspace) as log:
            log.publish(run_id, CATALOG)
        opened = open_catalog(
            RenderRequest(
                manifest=str(catalogue.write()),
                output=str(catalogue.output),
                model=str(catalogue.model),
            ),
            workspace,
        )
        ((shard, _),) = opened.shards(run_id)
        opened.hand_rows(shard, workspace)
        assert shard.title == f"manifest 1 of 1 (rows 1-{len(rows)})"
        with environment(catalogue.root):
            render_shard(shard, return_state=True)
        return run_id

    return run


def pages_of(run_id):
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    with get_client(sync_client=True) as client:
        return client.request("POST", "/artifacts/filter", json=wanted).json()


def test_when_nothing_is_missing_any_more_the_catalogue_is_completed(retry_shard):
    run_id = retry_shard("failed")
    state = read_run(run_id).state
    assert (state.is_completed(), state.message) == (True, "3 pairs: 3 rendered, 0 already done")
    (page,) = pages_of(run_id)
    assert (page["key"], page["description"]) == ("manifest-report", state.message)
    assert "3 pairs: 3 rendered" in page["data"]


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_what_is_still_missing_is_named_and_the_kind_of_end_stays(retry_shard, finished, end):
    rows = [*finished.rows, {"id": "late", "ambience": "gone.wav", "music": "folk.wav"}]
    run_id = retry_shard(end, rows)
    state = read_run(run_id).state
    assert state.name == end.capitalize()
    assert state.message.startswith("1 of 4 pairs failed: late; 3 rendered, 0 already done")
    assert pages_of(run_id)[0]["description"] == state.message.splitlines()[0]
