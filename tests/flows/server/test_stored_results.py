"""A person who can write to the result storage cannot run code here."""

import json
import os
import subprocess
import sys

import pytest
from prefect import flow, task
from prefect.results import ResultRecord
from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flows.server.environment import refuse_pickles
from flows.train_classifier import TrainResult
from tasks.storage.store import Record
from tasks.upload import Published
from tests.servers import PATIENCE_S

RECORD = Record(stage="mels", key="ab" * 32, sha256="cd" * 32, size=3, suffix="npz", meta={"a": 1})


class Command:
    """A pickle that runs a shell command."""

    def __init__(self, text):
        self.text = text

    def __reduce__(self):
        return os.system, (self.text,)


ATTACKS = {
    "pickle": (
        {"type": "pickle"},
        lambda path: PickleSerializer().dumps(Command(f"touch {path}")).decode(),
    ),
    "compressed pickle": (
        {"type": "compressed/pickle"},
        lambda path: (
            CompressedSerializer(serializer="pickle").dumps(Command(f"touch {path}")).decode()
        ),
    ),
    "JSON with a decoder of its own": (
        {"type": "json", "object_decoder": "subprocess.Popen"},
        lambda path: json.dumps({"touch": 1, path: 2}),
    ),
    "JSON that names a function as a class": (
        {"type": "json"},
        lambda path: json.dumps({"__class__": "subprocess.call", "data": [["touch", path]]}),
    ),
}


def poisoned(attack, path):
    """A record that creates a file when it is read."""
    serializer, result = ATTACKS[attack]
    metadata = {"storage_key": "receipt", "serializer": serializer, "prefect_version": "3"}
    return json.dumps({"metadata": metadata, "result": result(str(path))}).encode()


@pytest.fixture
def guarded(monkeypatch):
    """Use the guard during a test."""
    for serializer in (PickleSerializer, CompressedSerializer, JSONSerializer):
        monkeypatch.setattr(serializer, "loads", serializer.loads)
    refuse_pickles()


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_the_guard_the_attack_works(attack, tmp_path):
    """Otherwise the tests below would prove nothing."""
    marker = tmp_path / "ran"
    (tmp_path / "record").write_bytes(poisoned(attack, marker))
    code = (
        "import sys; from pathlib import Path; from prefect.results import ResultRecord\n"
        "found = ResultRecord.deserialize(Path(sys.argv[1]).read_bytes()).result\n"
        "getattr(found, 'wait', int)()"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "record"], check=True, timeout=PATIENCE_S
    )
    assert marker.exists()


def made_again(stored, folder):
    """Run a stage whose receipt is `stored`; return whether its result is made and kept there."""
    computed = []

    @task(cache_key_fn=lambda *_: "receipt", persist_result=True, result_serializer="json")
    def stage():
        computed.append(1)
        return {"a": len(computed)}

    @flow
    def render():
        refuse_pickles()
        return stage(return_state=True)

    folder.mkdir()
    (folder / "receipt").write_bytes(stored)
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: folder}):
        return [render().name, render().name, len(computed)] == ["Completed", "Cached", 1]


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_poisoned_record_counts_as_missing_and_runs_nothing(attack, guarded, tmp_path):
    marker = tmp_path / "ran"
    assert made_again(poisoned(attack, marker), tmp_path / "results")
    assert not marker.exists()


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize("name", ["tasks.store.Record", "tasks.upload.NoLongerThere"])
def test_a_receipt_of_a_class_that_has_moved_counts_as_missing(name, guarded, tmp_path):
    metadata = {"storage_key": "receipt", "serializer": {"type": "json"}}
    stored = ResultRecord(metadata=metadata, result=RECORD).serialize().decode()
    written_before = stored.replace(f"{type(RECORD).__module__}.Record", name)
    assert name in written_before
    assert made_again(written_before.encode(), tmp_path / "results")


@pytest.mark.parametrize(
    "result",
    [
        RECORD,
        Published("s3://bucket/x.wav", "ef" * 32, 44),
        {"a": [1, None, "b"]},
        ["s3://bucket/x"],
        {"uri": RECORD},
        TrainResult(
            weights="w",
            track_accuracy=0.5,
            track_interval=(0, 1),
            n_validation_tracks=1,
            skipped=(),
            passed_over={".txt": 2},
        ),
    ],
)
def test_our_own_results_are_read_as_they_were_written(result, guarded):
    metadata = {"storage_key": "x", "serializer": {"type": "json"}}
    stored = ResultRecord(metadata=metadata, result=result).serialize()
    assert ResultRecord.deserialize(stored).result == result


@pytest.mark.parametrize(
    "name",
    [
        "tasks.storage.probe.ThreadPoolExecutor",
        "tasks.storage.files.delete",
        "os.system",
        "tasks.storage.files.os",
    ],
)
def test_a_name_that_our_modules_import_is_not_ours(name, guarded):
    with pytest.raises((ValueError, AttributeError, ImportError)):
        JSONSerializer().loads(json.dumps({"__class__": name, "data": ["x"]}).encode())
