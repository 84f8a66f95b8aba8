import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.jobs.keys import artefact_key
from tasks.storage import files
from tasks.storage.errors import StorageError
from tasks.storage.store import Record, Store
from tasks.storage.uris import join

SOUND = bytes(range(256)) * 40
KEY = artefact_key("mels", 1, {"n_mels": 384}, ["ab" * 32])


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    path.write_bytes(SOUND)
    return path


@pytest.fixture
def shelf(root_uri: str) -> Store:
    return Store(root_uri)


@pytest.fixture
def record(shelf: Store, sound: Path) -> Record:
    return shelf.commit("mels", KEY, sound, "wav", {"n_frames": 259, "lags": [1, 2]})


def _overwrite(shelf: Store, relative: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "forged").write_bytes(data)
    files.publish(tmp_path / "forged", join(shelf.root_uri, relative))


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_committed_result_is_found_with_its_numbers(shelf: Store, record: Record) -> None:
    assert shelf.find("mels", KEY) == record
    assert record.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert record.size == len(SOUND)
    assert record.meta == {"n_frames": 259, "lags": [1, 2]}
    assert record.blob == f"objects/{record.sha256[:2]}/{record.sha256}.wav"


def test_an_unknown_key_or_another_stage_is_a_miss(shelf: Store, record: Record) -> None:
    assert shelf.find("mels", "0" * 64) is None
    assert not shelf.exists("transfer", KEY)
    assert shelf.exists("mels", KEY)


def test_every_way_to_read_gives_the_bytes(shelf: Store, record: Record, tmp_path: Path) -> None:
    assert shelf.fetch_bytes(record) == SOUND
    assert shelf.fetch(record, tmp_path / "new" / "copy.wav").read_bytes() == SOUND
    with shelf.open_local(record, scratch_dir=tmp_path) as path:
        assert path.read_bytes() == SOUND
        assert path.suffix == ".wav"
    in_place = path.is_relative_to(shelf.root_uri)
    assert path.exists() == in_place, "a download is removed, the store's own file stays"


def test_the_first_result_of_a_key_stays(
    shelf: Store, record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(b"another run, other bytes")
    assert shelf.commit("mels", KEY, other, "wav", {}) == record
    assert shelf.fetch_bytes(record) == SOUND
    assert "differ" in caplog.text


def test_a_tampered_blob_is_refused_then_heals(
    shelf: Store, record: Record, sound: Path, tmp_path: Path
) -> None:
    _overwrite(shelf, record.blob, SOUND[::-1], tmp_path)
    assert shelf.find("mels", KEY) == record, "the size alone does not give it away"
    with pytest.raises(StorageError, match="run the stage again") as caught:
        shelf.fetch(record, tmp_path / "copy.wav")
    assert caught.value.code == "corrupt_artefact"
    assert not (tmp_path / "copy.wav").exists()
    assert shelf.find("mels", KEY) is None
    shelf.commit("mels", KEY, sound, "wav", {})
    assert shelf.fetch_bytes(record) == SOUND


def test_no_way_to_read_returns_tampered_bytes(
    shelf: Store, record: Record, tmp_path: Path
) -> None:
    _overwrite(shelf, record.blob, SOUND[::-1], tmp_path)
    with pytest.raises(StorageError, match="differ from the recorded ones"):
        shelf.fetch_bytes(record)
    with (
        pytest.raises(StorageError, match="differ from the recorded ones"),
        shelf.open_local(record),
    ):
        pytest.fail("tampered bytes were handed out")


@pytest.mark.parametrize("data", [b"", b"shorter"])
def test_a_blob_of_another_size_is_a_miss(
    shelf: Store, record: Record, tmp_path: Path, data: bytes
) -> None:
    _overwrite(shelf, record.blob, data, tmp_path)
    assert shelf.find("mels", KEY) is None


def test_a_deleted_blob_is_a_miss_and_only_that_one(
    shelf: Store, record: Record, sound: Path
) -> None:
    sound.write_bytes(b"second")
    second = shelf.commit("mels", "1" * 64, sound, "wav", {})
    files.delete(join(shelf.root_uri, record.blob))
    assert shelf.find("mels", KEY) is None
    assert shelf.find("mels", "1" * 64) == second
    with pytest.raises(StorageError, match="missing"):
        shelf.fetch_bytes(record)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"schema": 2}',
        b"\xff\xfe",
        b'{"schema":1,"stage":"mels","key":"k","sha256":"../../etc","size":1,"suffix":"x","meta":{}}',
    ],
)
def test_a_damaged_record_is_a_miss_and_heals(
    shelf: Store, record: Record, sound: Path, tmp_path: Path, data: bytes
) -> None:
    _overwrite(shelf, f"results/mels/{KEY[:2]}/{KEY}.json", data, tmp_path)
    assert shelf.find("mels", KEY) is None
    assert shelf.commit("mels", KEY, sound, "wav", record.meta) == record


def test_a_record_moved_to_another_key_is_a_miss(
    shelf: Store, record: Record, tmp_path: Path
) -> None:
    _overwrite(shelf, f"results/mels/11/{'1' * 64}.json", record.to_json(), tmp_path)
    assert shelf.find("mels", "1" * 64) is None


def test_a_deleted_result_is_forgotten_but_not_its_bytes(shelf: Store, record: Record) -> None:
    shelf.delete("mels", KEY)
    shelf.delete("mels", KEY)
    assert shelf.find("mels", KEY) is None
    assert shelf.fetch_bytes(record) == SOUND


def test_meta_that_is_not_json_leaves_nothing_behind(tmp_path: Path, sound: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Store(str(tmp_path / "s")).commit("mels", KEY, sound, "wav", {"loss": float("nan")})
    assert not (tmp_path / "s").exists()


COMMIT = """
import sys
from pathlib import Path
from tasks.storage.store import Store
root, key, path = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
print(Store(root).commit("mels", key, Path(path), "wav", {"from": path}).sha256)
"""


def test_two_processes_agree_on_one_result(root_uri: str, tmp_path: Path) -> None:
    writers = []
    for number in range(2):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(bytes([number]) * 300_000)
        command = [sys.executable, "-c", COMMIT, root_uri, KEY, str(path)]
        writers.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    answers = {writer.communicate(timeout=30)[0].strip() for writer in writers}
    assert len(answers) == 1
    record = Store(root_uri).find("mels", KEY)
    assert {record.sha256} == answers
    assert set(Store(root_uri).fetch_bytes(record)) == {int(Path(record.meta["from"]).stem)}


COMMIT_FOREVER = """
import sys
from pathlib import Path
from tasks.storage.store import Store
store, path = Store(sys.argv[1]), Path(sys.argv[2])
for number in range(100_000):
    path.write_bytes(number.to_bytes(4, "big") * 250_000)
    store.commit("mels", f"{number:064d}", path, "wav", {"number": number})
    print("committed", flush=True)
"""


def test_a_killed_writer_leaves_nothing_partial_visible(root_uri: str, tmp_path: Path) -> None:
    shelf, seen = Store(root_uri), 0
    for delay in (0.05, 0.11, 0.23):
        command = [sys.executable, "-c", COMMIT_FOREVER, root_uri, str(tmp_path / "s.wav")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
    while record := shelf.find("mels", f"{seen:064d}"):
        assert shelf.fetch_bytes(record) == seen.to_bytes(4, "big") * 250_000
        seen += 1
    assert seen > 0
    if not files.is_remote(root_uri):
        visible = [name for name in _files(Path(root_uri)) if "/.tmp-" not in name]
        for name in (name for name in visible if name.startswith("objects/")):
            data = Path(root_uri, name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == Path(name).stem


def test_a_store_holds_no_secret_and_survives_pickling(bucket: str, sound: Path) -> None:
    shelf = Store(bucket)
    shelf.commit("mels", KEY, sound, "wav", {})
    copy = pickle.loads(pickle.dumps(shelf))
    assert copy == shelf
    assert copy.exists("mels", KEY)
    for text in (repr(shelf), str(shelf), pickle.dumps(shelf).decode("latin-1")):
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in text


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s3://key:secret@bucket/x"])
def test_an_unusable_uri_is_refused(uri: str) -> None:
    with pytest.raises(StorageError) as caught:
        Store(uri)
    assert caught.value.code == "bad_uri"
    assert "secret@" not in str(caught.value)


def test_a_relative_root_does_not_follow_the_current_folder(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shelf = Store("store")
    shelf.commit("mels", KEY, sound, "wav", {})
    monkeypatch.chdir("/")
    assert shelf.exists("mels", KEY)


def test_a_disk_error_is_clear_and_old_results_stay(tmp_path: Path, sound: Path) -> None:
    shelf = Store(str(tmp_path / "store"))
    record = shelf.commit("mels", KEY, sound, "wav", {})
    sound.write_bytes(b"new")
    # A file where a folder must be fails for root too, unlike a missing permission.
    digest = hashlib.sha256(b"new").hexdigest()
    (tmp_path / "store" / "objects" / digest[:2]).write_bytes(b"")
    with pytest.raises(StorageError, match="objects") as caught:
        shelf.commit("mels", "2" * 64, sound, "wav", {})
    assert not caught.value.transient
    assert shelf.find("mels", "2" * 64) is None
    assert shelf.fetch_bytes(record) == SOUND


def test_a_key_depends_on_all_that_decides_the_bytes_and_on_nothing_else() -> None:
    base = artefact_key("mels", 1, {"a": 1, "b": [1, 2]}, ["x", "y"])
    assert base == artefact_key("mels", 1, {"b": (1, 2), "a": 1}, ("x", "y"))
    others = [
        artefact_key("mel", 1, {"a": 1, "b": [1, 2]}, ["x", "y"]),
        artefact_key("mels", 2, {"a": 1, "b": [1, 2]}, ["x", "y"]),
        artefact_key("mels", 1, {"a": 2, "b": [1, 2]}, ["x", "y"]),
        artefact_key("mels", 1, {"a": 1, "b": [1, 2]}, ["y", "x"]),
    ]
    assert len({base, *others}) == 5
    with pytest.raises(ValueError, match="JSON"):
        artefact_key("mels", 1, {"a": float("nan")}, [])
