"""What the probe says of a local disk, a faithful S3 server and one that is not."""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tasks import probe, s3
from tasks.files import StorageError
from tasks.probe import probe_store

KEY, SECRET = "amnst-test", "amnst-test-secret"
RCLONE = shutil.which(
    "rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
)


def verdicts(found):
    return {promise.name: promise.holds for promise in found.promises}


def test_a_disk_and_a_faithful_server_keep_every_promise(root_uri):
    found = probe_store(root_uri)
    assert verdicts(found) == {
        "P1": True, "P2": True, "P3": True, "P4": True, "P5": True, "P6": None, "P7": True,
    }  # fmt: skip
    assert found.broken == ()
    assert found.remarks == ()


def test_nothing_is_left_behind(root_uri):
    probe_store(root_uri)
    if root_uri.startswith("s3://"):
        assert s3.client().find(root_uri) == []
    else:
        assert list(Path(root_uri).iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error_and_no_verdict(bucket, tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        probe_store(f"s3://no-such-{uuid.uuid4().hex[:8]}")
    (tmp_path / "file").write_text("not a folder", "utf-8")
    with pytest.raises(StorageError):
        probe_store(str(tmp_path / "file" / "store"))


def test_torn_reads_are_seen(tmp_path, monkeypatch):
    """A place that writes in place, as a plain `open` does."""

    def in_place(local_path, uri):
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        with Path(uri).open("wb") as file:
            for byte in range(0, probe._SIZE, 50_000):
                file.write(local_path.read_bytes()[byte : byte + 50_000])
                file.flush()
                time.sleep(0.005)

    monkeypatch.setattr(probe, "publish", in_place)
    assert verdicts(probe_store(str(tmp_path / "store")))["P1"] is False


@pytest.fixture
def weak_bucket(s3_server, tmp_path, monkeypatch):
    """A bucket of a server that ignores If-None-Match."""
    if RCLONE is None:
        pytest.skip("rclone is not installed: no weak S3 server to test against")
    with socket.socket() as chooser:
        chooser.bind(("127.0.0.1", 0))
        port = chooser.getsockname()[1]
    (tmp_path / "data" / "weak").mkdir(parents=True)
    command = [
        *(RCLONE, "serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{KEY},{SECRET}", str(tmp_path / "data")),
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    s3._client.cache_clear()
    try:
        _wait_for(port, process)
        yield "s3://weak"
    finally:
        process.kill()
        process.wait(15)
        s3._client.cache_clear()


def _wait_for(port, process):
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and process.poll() is None:
        with socket.socket() as probe_socket:
            if probe_socket.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("rclone does not start")


def test_a_server_that_ignores_if_none_match_loses_p4(weak_bucket):
    found = probe_store(f"{weak_bucket}/store")
    (p4,) = [promise for promise in found.broken if promise.name == "P4"]
    assert "writers created the same file: the last wins" in p4.seen
    assert {name for name, holds in verdicts(found).items() if holds} >= {"P2", "P5"}
    assert "checksum is wrong" in found.remarks[0]
