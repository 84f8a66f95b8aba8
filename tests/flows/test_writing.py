"""Only one run writes into an output folder: catalogues, and shards that are retried alone."""

import json
import shutil
from contextlib import contextmanager

import pytest

from flows.catalog import open_catalog
from flows.progress import Listener
from flows.render_shard import render_shard
from flows.requests import RenderRequest
from flows.shards import ShardError
from tasks.report.parts import CATALOG, read_part, result_log
from tasks.running.workspace import Workspace
from tasks.storage import files
from tasks.storage.errors import StorageError
from tasks.storage.lease import hold
from tasks.storage.uris import join
from tasks.storage.writer_record import FOLDER, Writer

OTHER = Writer(run_id="other", name="day")
CATALOG_RUN = "a-catalogues-run"


class Thief(Listener):
    """Listener that gives the folder to another run when the rendering begins."""

    def __init__(self, output):
        self.folder = join(str(output), FOLDER)

    def stage(self, name):
        if name == "render pairs":
            (record,) = files.list_files(self.folder)
            other = json.loads(files.read_bytes(record.uri))
            other["writer"]["run_id"] = "other"
            files.write_bytes(join(self.folder, "000002.json"), json.dumps(other).encode())

    def pairs(self, n_pairs):
        """Ignore this call."""

    def at_work(self, name):
        """Ignore this call."""

    def pair(self, name, status, reason):
        """Ignore this call."""

    def ended(self, summary, report):
        pytest.fail(f"{report} was written into another run's folder: {summary}")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def held_by_another_run(catalogue):
    with hold(str(catalogue.output), OTHER):
        yield


def test_a_render_leaves_no_record_behind(rendered):
    assert rendered.render(force=True, limit=1).is_completed()
    assert not (rendered.output / FOLDER).exists()


@pytest.mark.parametrize("options", [{}, {"force": True}, {"limit": 1}, {"only": ("rain-folk",)}])
def test_a_second_run_into_a_folder_is_refused_before_its_first_pair(rendered, options):
    rendered.rows = [dict(row, strength="0.1") for row in rendered.rows]
    before = contents(rendered.output)
    with held_by_another_run(rendered):
        state = rendered.render(**options)
    assert state.is_failed()
    assert 'run "day" (other), process' in state.message
    with pytest.raises(StorageError) as caught:
        state.result()
    assert caught.value.code == "output_in_use"
    assert (contents(rendered.output), rendered.work) == (before, [])


def test_a_second_run_on_workers_is_refused_before_its_first_shard(rendered, monkeypatch):
    monkeypatch.setenv("AMNST_SHARD_DEPLOYMENT", "render-shard/not-asked-for")
    rendered.rows = [dict(row, strength="0.1") for row in rendered.rows]
    with held_by_another_run(rendered), pytest.raises(StorageError, match="writes here"):
        rendered.render().result()
    assert rendered.render(limit=1).is_failed(), "it gets as far as the deployment now"


def test_a_run_that_has_lost_its_folder_writes_neither_sounds_nor_a_report(rendered):
    shutil.rmtree(rendered.output)
    rendered.listener = Thief(rendered.output)
    state = rendered.render(force=True)
    with pytest.raises(StorageError, match="has lost the folder") as caught:
        state.result()
    assert caught.value.code == "lease_lost"
    assert {path.parent.name for path in contents(rendered.output)} == {FOLDER}


@pytest.fixture
def shard(finished, make_catalogue, tmp_path):
    """The first row of a catalogue whose own run has ended, with everything that it needs."""
    catalogue = make_catalogue(tmp_path / "retried")
    catalogue.rows = finished.rows
    shutil.copytree(finished.root / "store", catalogue.root / "store")
    workspace = Workspace(str(catalogue.root / "store"), str(catalogue.root / "scratch"))
    request = RenderRequest(
        manifest=str(catalogue.write()), output=str(catalogue.output), model=str(catalogue.model)
    )
    with result_log(workspace) as log:
        log.publish(CATALOG_RUN, CATALOG)
    opened = open_catalog(request.model_copy(update={"shard_size": 1}), workspace)
    shard, _ = next(opened.shards(CATALOG_RUN))
    opened.hand_rows(shard, workspace)
    return catalogue, workspace, shard


def test_a_shard_reads_its_own_rows_whatever_has_become_of_the_manifest(shard, environment):
    catalogue, workspace, parameters = shard
    catalogue.manifest.unlink()
    with environment(catalogue.root):
        assert render_shard(parameters, return_state=True).is_completed()
    (result,) = read_part(workspace, CATALOG_RUN, parameters.name)
    assert (result.id, result.line, result.status) == ("rain-folk", 2, "ok")


def test_a_shard_takes_no_other_model_than_the_catalogue_had(shard, environment):
    catalogue, _, parameters = shard
    other = parameters.model_copy(update={"model_sha256": "0" * 64})
    with environment(catalogue.root), pytest.raises(ShardError, match="restore that model"):
        render_shard(other)
    assert catalogue.made() == {}


def test_a_shard_that_is_retried_alone_takes_the_folder_and_leaves_it(shard, environment):
    catalogue, _, parameters = shard
    with environment(catalogue.root):
        state = render_shard(parameters, return_state=True)
    assert state.is_completed(), state.message
    assert set(catalogue.made()) == {"rain-folk.wav"}
    assert (catalogue.output / "results.csv").exists()
    assert not (catalogue.output / FOLDER).exists()


def test_a_shard_writes_under_its_catalogues_lease_and_leaves_it_in_place(shard, environment):
    catalogue, _, parameters = shard
    of_run = Writer(run_id=CATALOG_RUN, name="manifest", shared=True)
    with environment(catalogue.root), hold(str(catalogue.output), of_run) as lease:
        assert render_shard(parameters, return_state=True).is_completed()
        lease.claim.check()
    assert set(catalogue.made()) == {"rain-folk.wav"}


def test_a_shard_of_a_run_that_has_lost_its_folder_writes_nothing(shard, environment):
    catalogue, workspace, parameters = shard
    with environment(catalogue.root), held_by_another_run(catalogue):
        state = render_shard(parameters, return_state=True)
    assert state.is_failed()
    assert "writes here" in state.message
    assert contents(catalogue.output) == {}
    assert list(read_part(workspace, CATALOG_RUN, parameters.name)) == []
