"""An installation survives when PostgreSQL, Redis, S3, the server or the workers are killed.

After each fault every output is in place with the bytes its provenance claims, what was
made before stays, and no pair is delivered with two different contents.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.cluster import delivered, report, until
from tests.e2e.installation import installed
from tests.servers import POSTGRES, REDIS, SECRET, WEED

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    for program in (POSTGRES, REDIS, WEED):
        if not program.is_file():
            pytest.skip(f"{program.name} is not installed")
    with installed(tmp_path_factory.mktemp("faults")) as ours:
        yield ours


@pytest.fixture
def catalogue(installation, sounds, pairs, tmp_path):
    """A manifest of eight pairs with inputs that no other test uses."""
    inputs = tmp_path / "inputs"
    shutil.copytree(sounds, inputs)
    salt = os.urandom(64)
    for path in inputs.glob("*.wav"):
        data = bytearray(path.read_bytes())
        data[-64:] = bytes(byte & 0x0F for byte in salt)
        path.write_bytes(data)
    return pairs(inputs, 8), tmp_path / "output"


@pytest.fixture
def working(installation):
    """The installation with a running worker for shards, even if another test has killed it."""
    worker = installation.processes.get("gpu")
    if worker is None or worker.poll() is not None:
        installation.start_worker("gpu")
    return installation


def under_way(installation, catalogue, n_made=2):
    """Submit a catalogue as one shard, and return its run after some transfers."""
    manifest, output = catalogue
    before = len(installation.records("audio"))
    run_id = installation.submit(manifest, output, "--shard-size", 8)
    until(
        lambda: len(installation.records("audio")) >= before + n_made,
        timeout_s=180,
        what="the first pairs",
    )
    return run_id


def assert_all_is_well(run, output, n_pairs=8):
    assert run.state.is_completed(), run.state.message
    rows = report(output)
    assert len(rows) == n_pairs
    assert {row["status"] for row in rows.values()} <= {"ok", "cached"}
    claimed = delivered(output)
    for name, digest in claimed.items():
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    assert claimed == {f"{name}.wav": row["sha256"] for name, row in rows.items()}


def test_a_worker_of_another_version_renders_nothing(installation, catalogue, tmp_path):
    manifest, output = catalogue
    shim = tmp_path / "shim"
    shim.mkdir()
    shim.joinpath("sitecustomize.py").write_text(
        "import nst_core\nnst_core.__version__ = '0.0.0'\n"
    )
    before = installation.records("transfer")
    path = os.pathsep.join([str(shim), os.environ.get("PYTHONPATH", "")])
    installation.start_worker("old", PYTHONPATH=path)
    run_id = installation.submit(manifest, output)
    run = installation.wait(run_id)
    installation.kill("old")
    assert run.state.is_failed()
    assert "0.0.0" in report(output)["p00"]["error"]
    assert installation.records("transfer") == before
    installation.start_worker("gpu")
    assert installation.amnst("retry", run_id, "--wait").returncode == 0
    assert_all_is_well(installation.run(run_id), output)


def test_the_same_manifest_twice_at_once_is_rendered_to_the_same_bytes(
    working, catalogue, tmp_path
):
    manifest, _ = catalogue
    working.start_worker("second")
    outputs = [tmp_path / name for name in ("one", "two")]
    runs = [working.submit(manifest, output) for output in outputs]
    for run_id, output in zip(runs, outputs, strict=True):
        assert_all_is_well(working.wait(run_id), output)
    assert delivered(outputs[0]) == delivered(outputs[1])
    working.kill("second")


def test_two_catalogues_for_one_folder_write_one_after_the_other(working, catalogue):
    manifest, output = catalogue
    working.kill("gpu")  # the first one waits for its shard until there is a worker again
    first = working.submit(manifest, output)
    record = output / ".amnst-writer"
    until(record.exists, timeout_s=240, what="the first catalogue")
    second = working.wait(working.submit(manifest, output, "--strength", "0.1"))
    assert second.state.is_failed()
    assert "writes here" in second.state.message
    working.start_worker("gpu")
    assert_all_is_well(working.wait(first), output)
    assert {row["strength"] for row in report(output).values()} == {"0.7"}
    assert not record.exists()
    assert working.amnst("retry", second.id, "--wait").returncode == 0
    assert_all_is_well(working.run(str(second.id)), output)
    assert {row["strength"] for row in report(output).values()} == {"0.1"}


WATCH = """
import json, sys, time
from flows.watch_inbox import InboxRequest, watch_inbox

request = InboxRequest.model_validate(json.loads(sys.argv[1]))
time.sleep(float(sys.argv[2]) - time.time())
watch_inbox(request)
"""


def watch_twice(installation, request):
    """Start two flow runs of `watch-inbox` at once; no deployment limits them."""
    arguments = (sys.executable, "-c", WATCH, json.dumps(request), str(time.time() + 30))
    names = ["watcher0", "watcher1"]
    for name in names:
        installation.spawn(name, *arguments)
    assert [installation.processes.pop(name).wait(120) for name in names] == [0, 0]
    watches = [run for run in installation.runs() if "inbox" in run.parameters.get("request", {})]
    first, second = watches[-2:]
    assert max(first.start_time, second.start_time) < min(first.end_time, second.end_time)


def test_two_watchers_of_one_inbox_render_a_manifest_once(working, catalogue):
    manifest, output = catalogue
    inbox = f"s3://{working.bucket}/inbox"
    dropped = f"{inbox}/songs.csv"
    working.s3().pipe_file(dropped, manifest.read_bytes())
    roots = [str(manifest.parent)]
    request = {"inbox": inbox, "output": str(output), "settle_s": 0, "input_roots": roots}
    watch_twice(working, request)

    def renders():
        given = [(run, run.parameters.get("request", {})) for run in working.runs()]
        return [run for run, request in given if request.get("manifest") == dropped]

    (run,) = renders()
    assert_all_is_well(working.wait(str(run.id)), output / "songs")
    watch_twice(working, request)
    assert len(renders()) == 1
    done = json.loads(working.s3().cat_file(f"{dropped}.done.json"))
    assert done["run_id"] == str(run.id)


def test_s3_may_be_away_for_20_s(working, catalogue):
    run_id = under_way(working, catalogue)
    working.kill("s3")
    time.sleep(20)
    working.start_s3()
    assert_all_is_well(working.wait(run_id), catalogue[1])


def test_the_server_may_be_killed_and_be_away_for_15_s(working, catalogue):
    run_id = under_way(working, catalogue)
    made = working.records("transfer")
    working.kill("server")
    time.sleep(15)
    working.start_server()
    assert_all_is_well(working.wait(run_id), catalogue[1])
    after = working.records("transfer")
    assert {name: after[name] for name in made} == made


def test_postgresql_may_be_restarted(working, catalogue):
    run_id = under_way(working, catalogue)
    working.processes["postgres"].send_signal(signal.SIGINT)  # a fast shutdown
    working.processes.pop("postgres").wait(30)
    time.sleep(5)
    working.start_postgres()
    assert_all_is_well(working.wait(run_id), catalogue[1])
    assert working.processes["gpu"].poll() is None, working.log("gpu")


def test_a_worker_and_its_flow_may_be_killed(working, catalogue):
    run_id = under_way(working, catalogue)
    working.kill("gpu")
    made = working.records("transfer")
    working.start_worker("gpu")
    run = working.wait(run_id, timeout_s=420)
    assert_all_is_well(run, catalogue[1])
    after = working.records("transfer")
    assert {name: after[name] for name in made} == made, "finished results stay"
    (shard,) = working.shards(run_id).values()
    assert shard.run_count == 2, "marked as crashed without a heartbeat, and started again"


def test_the_secret_of_the_store_is_in_no_log_and_not_in_the_database(working, catalogue):
    manifest, output = catalogue
    working.wait(working.submit(manifest, output))
    dump = subprocess.run(
        [POSTGRES.with_name("pg_dump"), *working.database_arguments],
        capture_output=True,
        check=True,
    ).stdout
    assert b"render-shard" in dump, "runs, parameters, logs and artifacts are in it"
    assert b"catalog-" in dump
    assert SECRET.encode() not in dump
    for log in working.folder.glob("*.log"):
        assert SECRET not in log.read_text(errors="replace"), log.name
