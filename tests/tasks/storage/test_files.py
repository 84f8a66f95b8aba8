import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks.storage import files
from tasks.storage.errors import StorageError
from tasks.storage.uris import join

SOUND = bytes(range(256)) * 40


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    path.write_bytes(SOUND)
    return path


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_readers_of_a_published_output_see_old_or_new_bytes_only(tmp_path: Path) -> None:
    old, new, place = tmp_path / "old", tmp_path / "new", tmp_path / "out" / "a.wav"
    old.write_bytes(b"o" * 400_000)
    new.write_bytes(b"n" * 700_000)
    files.publish(old, str(place))
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            data = place.read_bytes()
            seen.add((len(data), data[:1], data[-1:]))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        files.publish(new, str(place))
        files.publish(old, str(place))
    done.set()
    reader.join()
    assert seen <= {(400_000, b"o", b"o"), (700_000, b"n", b"n")}
    assert _files(place.parent) == ["a.wav"]


def test_an_output_is_published_and_described(root_uri: str, sound: Path) -> None:
    place = join(root_uri, "outputs", "rain on roof é.wav")
    assert files.describe(place) is None
    files.publish(sound, place)
    assert files.describe(place).size == len(SOUND)
    assert abs(files.describe(place).modified_s - time.time()) < 60
    assert files.describe(join(root_uri, "outputs")) is None, "a folder is not a file"
    assert files.read_bytes(place) == SOUND


def test_an_input_is_used_in_place_or_fetched(root_uri: str, sound: Path, tmp_path: Path) -> None:
    place = join(root_uri, "inputs", "a.wav")
    files.publish(sound, place)
    with files.fetch_input(place, tmp_path / "scratch") as path:
        assert path.read_bytes() == SOUND
        assert (str(path) == place) == (not files.is_remote(place))
    with files.fetch_input(sound.as_uri(), tmp_path / "scratch") as path:
        assert path == sound
    assert list(tmp_path.glob("scratch/*")) == []


def test_a_missing_remote_input_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.wav: cannot read") as caught:
        with files.fetch_input(f"{bucket}/gone.wav", tmp_path):
            pytest.fail("there was nothing to fetch")
    assert caught.value.code == "not_found"
    assert not caught.value.transient


def test_a_missing_bucket_is_an_error_on_write(s3_server: None, sound: Path) -> None:
    with pytest.raises(StorageError, match="bucket"):
        files.publish(sound, "s3://no-such-bucket/a.wav")


def test_a_wrong_secret_is_an_error_that_does_not_show_it(bucket: str) -> None:
    code = "from tasks.storage.files import describe\nimport sys\nprint(describe(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-c", code, f"{bucket}/a.wav"],
        env=os.environ | {"AWS_SECRET_ACCESS_KEY": "wrong-secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StorageError" in result.stderr
    assert "wrong-secret" not in result.stderr


def test_an_error_survives_pickling_without_secrets() -> None:
    error = StorageError(
        "https://me:hunter2@host/a?X-Amz-Signature=abc", "read", "lost", transient=True
    )
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.uri, copy.code, copy.transient) == (error.uri, "storage", True)
    assert "hunter2" not in str(copy)
    assert "abc" not in str(copy)


def test_parts_cannot_lead_out_of_a_root() -> None:
    assert join("s3://b/p/", "a", "b.wav") == "s3://b/p/a/b.wav"
    for part in ("../x", "a/../../x", "/etc/passwd"):
        with pytest.raises(StorageError, match="leads out"):
            join("/data", part)
