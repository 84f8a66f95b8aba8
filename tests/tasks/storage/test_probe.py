"""Findings of the probe for a local disk, a correct S3 server and an incorrect one."""

import contextlib
import os
import re
import uuid
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tasks.storage import s3
from tasks.storage.errors import StorageError
from tasks.storage.probe import probe_store


def verdicts(found):
    return {promise.name: promise.holds for promise in found.promises}


def test_a_disk_and_a_correct_server_keep_every_promise(root_uri):
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


def test_an_unwritable_place_is_an_error_and_no_verdict(bucket, tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        probe_store(f"s3://no-such-{uuid.uuid4().hex[:8]}")
    (tmp_path / "file").write_text("not a folder", "utf-8")
    with pytest.raises(StorageError):
        probe_store(str(tmp_path / "file" / "store"))


@pytest.fixture
def torn_bucket(bucket, monkeypatch):
    """A bucket behind a proxy that ends a new object with the bytes of the one before it."""
    behind = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
    known = {}

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: self.headers[name] for name in self.headers if name != "Expect"}
            with contextlib.closing(HTTPConnection(behind)) as server:
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                data = answer.read()
            if self.command == "GET" and answer.status == 200 and "list-type" not in self.path:
                before, known[self.path] = known.get(self.path, data), data
                data = data[: len(data) // 2] + before[len(data) // 2 :]
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name not in {"Content-Length", "Transfer-Encoding", "Connection"}:
                    self.send_header(name, value)
            length = len(data) if self.command != "HEAD" else answer.getheader("Content-Length")
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = forward  # noqa: N815  # the library's

        def log_message(self, *arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        thread = Thread(target=door.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{door.server_port}")
        s3._client.cache_clear()
        yield bucket
        s3._client.cache_clear()
        door.shutdown()
        thread.join()


def test_torn_reads_are_seen(torn_bucket):
    (p1,) = probe_store(f"{torn_bucket}/store").broken
    assert p1.name == "P1"
    assert re.match(r"[1-9]\d* torn and 0 refused reads", p1.seen)


def test_a_server_that_ignores_if_none_match_loses_p4(weak_bucket):
    found = probe_store(f"{weak_bucket}/store")
    (p4,) = [promise for promise in found.broken if promise.name == "P4"]
    assert "writers created the same file: the last wins" in p4.seen
    assert {name for name, holds in verdicts(found).items() if holds} >= {"P2", "P5"}
    assert "with a wrong checksum" in found.remarks[0]
