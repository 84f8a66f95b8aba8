"""A catalogue on workers, seen from its own run: no row is lost, however the run ends."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from pathlib import Path
from threading import Event, Thread, Timer
from time import sleep
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Cancelling, Failed, Running

from flows import dispatch
from flows.progress import Listener
from flows.requests import RenderRequest
from flows.server import runs
from flows.server.connection import ServerError
from flows.server.waiting import Pace, wait_for
from flows.shards import Shard
from tests.command_line import main

DEPLOYMENT = "render-shard/nobody"
"""Nobody works for it: its runs wait until a test ends them."""
SHARDS = tuple(f"manifest {number} of 3 (row {number})" for number in (1, 2, 3))


@pytest.fixture(scope="module")
def shard_deployment(prefect: None) -> str:
    flow_name, name = DEPLOYMENT.split("/")
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name(flow_name), name)
    return DEPLOYMENT


@pytest.fixture
def on_workers(finished, make_catalogue, shard_deployment, tmp_path, monkeypatch):
    """A catalogue of three shards that no worker takes, one open at a time."""
    monkeypatch.setattr(dispatch, "_POLL_S", 0.1)
    monkeypatch.setenv("AMNST_SHARD_DEPLOYMENT", shard_deployment)
    catalogue = make_catalogue(tmp_path / "dispatched")
    catalogue.rows = finished.rows
    return catalogue


class Interrupter(Listener):
    """Acts at the first reported pair, then ends the run as Ctrl-C does."""

    def __init__(self, first: Callable[[UUID], object] = str) -> None:
        self.first = first

    def pair(self, name, status, reason):
        del name, reason
        if status == "failed":
            self.run_id = UUID(flow_run.get_id())
            self.first(self.run_id)
            raise KeyboardInterrupt


def shard_runs(run_id: UUID) -> list[FlowRun]:
    of_run = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=of_run, sort=FlowRunSort.ID_DESC, limit=20)


def shards_of(run_id: UUID) -> dict[str, str]:
    """Return the states of a catalogue's shards, by name."""
    return {run.name: run.state.type.value for run in shard_runs(run_id)}


def cancel(run_id: UUID) -> None:
    """Cancel a catalogue's run, whose shards wait for another process than their first."""
    with get_client(sync_client=True) as client:
        for run in shard_runs(run_id):
            client.update_flow_run(run.id, infrastructure_pid="machine:1")
        client.set_flow_run_state(run_id, Cancelling())


@pytest.fixture
def end_shards() -> Iterator[Callable[..., None]]:
    """Set waiting shards to Failed, as their worker would; call `before` first.

    Shards that an earlier test left waiting have the same names: they are left alone.
    """
    stop, threads = Event(), []

    def named(client: SyncPrefectClient, names: Sequence[str]) -> list[FlowRun]:
        by_name = FlowRunFilter(name=FlowRunFilterName(any_=list(names)))
        return client.read_flow_runs(flow_run_filter=by_name, sort=FlowRunSort.ID_DESC, limit=200)

    def watch(before: Callable[[], object], names: Sequence[str], earlier: set[UUID]) -> None:
        with get_client(sync_client=True) as client:
            while not stop.wait(0.2):
                for run in named(client, names):
                    if run.id not in earlier and run.state.is_scheduled():
                        before()
                        client.set_flow_run_state(run.id, Failed(message="lost"), force=True)

    def begin(before: Callable[[], object] = lambda: None, names: Sequence[str] = SHARDS) -> None:
        with get_client(sync_client=True) as client:
            earlier = {run.id for run in named(client, names)}
        # A thread has a context of its own, which does not name the server of the tests.
        threads.append(Thread(target=copy_context().run, args=(watch, before, names, earlier)))
        threads[-1].start()

    yield begin
    stop.set()
    for thread in threads:
        thread.join()


def test_an_interruption_leaves_no_row_out_of_the_report(on_workers, end_shards):
    end_shards()
    on_workers.listener = Interrupter()
    with pytest.raises(KeyboardInterrupt):
        on_workers.render(shard_size=1, max_in_flight=1)
    assert on_workers.statuses() == {
        "rain-folk": "failed", "fire-folk": "not_run", "rain-rock": "not_run",
    }  # fmt: skip
    named = [Path(cell).stem for cell in on_workers.report()["ambience"]]
    assert named == ["rain", "fire", "rain"]


@pytest.mark.parametrize(("first", "second"), [(cancel, "CANCELLED"), (str, "SCHEDULED")])
def test_a_cancelled_run_cancels_its_shards_and_a_lost_process_does_not(
    on_workers, end_shards, first, second
):
    end_shards(names=SHARDS[:1])
    on_workers.listener = Interrupter(first)
    with pytest.raises(KeyboardInterrupt):
        on_workers.render(shard_size=1, max_in_flight=2)
    states = shards_of(on_workers.listener.run_id)
    assert states[SHARDS[1]] == second
    assert list(on_workers.statuses().values()) == ["failed", "not_run", "not_run"]


def test_shards_that_no_worker_takes_are_reported(on_workers, end_shards):
    end_shards(names=SHARDS[:1])
    on_workers.listener = Interrupter()
    with pytest.raises(KeyboardInterrupt):
        on_workers.render(shard_size=1, max_in_flight=2)
    catalogue, said = on_workers.listener.run_id, []
    waits = next(run for run in shard_runs(catalogue) if run.name == SHARDS[1])
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(catalogue, Running(), force=True)
        end = Timer(2.0, client.set_flow_run_state, [catalogue, Cancelled(), True])
        end.start()
        wait_for(str(catalogue), said.append, lambda _: None, pace=Pace(poll_s=0.2, untaken_s=0))
        end.join()
        client.set_flow_run_state(waits.id, Cancelled())
    (warning,) = said
    assert warning.startswith(f"{SHARDS[1]} waits: all workers")


def test_a_shard_that_an_earlier_cancel_still_ends_starts_again(
    shard_deployment, tmp_path, monkeypatch
):
    """A catalogue that is retried at once finds its shard Cancelling."""
    monkeypatch.setattr(dispatch, "_POLL_S", 0.2)
    shard = Shard(
        request=RenderRequest(manifest=str(tmp_path / "m.csv"), output=str(tmp_path / "out")),
        rows_sha256="0" * 64, model_sha256="0" * 64, first=0, stop=1,
        catalog_run_id=str(uuid4()),
    )  # fmt: skip
    run_id = dispatch._start(shard, shard_deployment).id
    seen = []

    def ends_twice() -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run_id, Cancelled(), force=True)
            while not client.read_flow_run(run_id).state.is_scheduled():
                sleep(0.1)
            seen.append(client.read_flow_run(run_id).state_name)
            client.set_flow_run_state(run_id, Failed(message="lost"), force=True)

    with get_client(sync_client=True) as client:
        client.update_flow_run(run_id, infrastructure_pid="machine:1")
        client.set_flow_run_state(run_id, Running(), force=True)
        client.set_flow_run_state(run_id, Cancelling())
        assert client.read_flow_run(run_id).state.is_cancelling()
    Timer(1.0, ends_twice).start()
    ((_, run),) = dispatch._run_shards([shard], shard_deployment, 1)
    assert run.id == run_id
    assert run.state.message == "lost"
    assert seen == ["AwaitingRetry"]


def test_the_shards_that_a_lost_catalogue_left_are_cancelled_by_its_id(
    on_workers, end_shards, capsys
):
    end_shards(names=SHARDS[:1])
    on_workers.listener = Interrupter()
    with pytest.raises(KeyboardInterrupt):
        on_workers.render(shard_size=1, max_in_flight=2)
    catalogue = on_workers.listener.run_id
    assert runs.read_run(str(catalogue)).state.is_crashed()
    assert shards_of(catalogue)[SHARDS[1]] == "SCHEDULED"
    with pytest.raises(SystemExit, match="0"):
        main(["cancel", str(catalogue)])
    assert capsys.readouterr().err.endswith("\nasked its shards to stop\n")
    assert shards_of(catalogue)[SHARDS[1]] == "CANCELLED"
    with pytest.raises(ServerError, match="nothing of it is running"):
        runs.cancel(str(catalogue))


def test_a_server_that_is_away_does_not_hide_what_ended_the_run(monkeypatch, caplog):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        dispatch._cancel_with_us({})
    assert "0 shards were not cancelled" in caplog.text


def test_a_run_that_is_gone_does_not_hide_it_either(prefect, monkeypatch, caplog):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
    dispatch._cancel_with_us({})
    assert "0 shards were not cancelled" in caplog.text


def test_a_lost_shard_is_reported_as_it_was_cut_even_if_its_manifest_has_changed(
    on_workers, end_shards
):
    other = "id,ambience,music\nfirst,fire.wav,rock.wav\n"
    end_shards(lambda: on_workers.manifest.write_text(other, "utf-8"))
    state = on_workers.render(shard_size=1, max_in_flight=3)
    assert state.message.startswith("3 of 3 pairs failed: rain-folk, fire-folk, rain-rock;")
    report = on_workers.report()
    assert list(report["id"]) == [row["id"] for row in on_workers.rows]
    assert list(report["line"]) == [2, 3, 4]
    assert set(report["error_code"]) == {"shard_lost"}


def test_finished_rows_of_a_lost_shard_count(on_workers, end_shards, finished):
    shutil.copytree(finished.root / "store", on_workers.root / "store")
    shutil.copytree(finished.output, on_workers.output)
    gone = on_workers.output / "fire-folk.wav"
    gone.unlink()
    end_shards(names=["manifest 1 of 1 (rows 1-3)"])
    on_workers.render(shard_size=3)
    assert on_workers.statuses() == {
        "rain-folk": "cached", "fire-folk": "failed", "rain-rock": "cached",
    }  # fmt: skip
