import hashlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nst_core.errors import DatasetError
from tasks.download import download_archive, download_dataset, fetch_dataset
from tasks.storage import files
from tasks.storage.errors import StorageError
from tests.archives import KEPT, MEMBERS, files_in, names_in, tar_of


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Mirror(ThreadingHTTPServer):
    """Server of one file that supports Range and If-Range, and breaks off at a given place."""

    daemon_threads = True

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _MirrorHandler)
        self.data = data
        self.tag = '"first"'
        self.break_after: int | None = None
        self.status: int | None = None
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/genres.tar.gz"


class _MirrorHandler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        mirror, start = self.server, 0
        wanted = self.headers.get("Range")
        mirror.asked.append(wanted)
        if mirror.status:
            self.send_error(mirror.status)
            return
        if wanted and self.headers.get("If-Range") == mirror.tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        rest = mirror.data[start:]
        self.send_response(206 if start else 200)
        if start:
            last = len(mirror.data) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        self.send_header("ETag", mirror.tag)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest if mirror.break_after is None else rest[: mirror.break_after])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    noise = {"genres/jazz/a.wav": os.urandom(300_000)}
    with Mirror(tar_of(tmp_path / "served.tar.gz", noise).read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_download_appears_whole_and_once(mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "down" / "genres"
    path = download_archive(mirror.url, place, sha256=_sha256(mirror.data))
    assert path.read_bytes() == mirror.data
    assert names_in(place.parent) == ["genres"]
    download_archive(mirror.url, place, sha256=_sha256(mirror.data))
    download_archive(mirror.url, place, sha256=_sha256(mirror.data).upper())
    assert len(mirror.asked) == 1, "an existing file is not fetched again"


def test_a_broken_download_is_resumed_where_it_stopped(mirror: Mirror, tmp_path: Path) -> None:
    place, digest = tmp_path / "down" / "genres", _sha256(mirror.data)
    mirror.break_after = 100_000
    for stopped_at in (100_000, 200_000):
        with pytest.raises(StorageError, match="cannot download") as caught:
            download_archive(mirror.url, place, sha256=digest)
        assert caught.value.transient
        assert not place.exists()
        assert (tmp_path / "down" / "genres.part").stat().st_size == stopped_at
    mirror.break_after = None
    assert download_archive(mirror.url, place, sha256=digest).read_bytes() == mirror.data
    assert mirror.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_a_file_that_has_changed_is_fetched_from_its_start(mirror: Mirror, tmp_path: Path) -> None:
    mirror.break_after = 100_000
    with pytest.raises(StorageError):
        download_archive(mirror.url, tmp_path / "genres", sha256="0" * 64)
    mirror.data, mirror.tag, mirror.break_after = mirror.data[::-1], '"second"', None
    path = download_archive(mirror.url, tmp_path / "genres", sha256=_sha256(mirror.data))
    assert path.read_bytes() == mirror.data


def test_bytes_of_another_sha256_never_get_the_final_name(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="check the source") as caught:
        download_archive(mirror.url, tmp_path / "down" / "genres", sha256="0" * 64)
    assert caught.value.code == "sha256_mismatch"
    assert names_in(tmp_path / "down") == []


def test_plain_http_needs_a_sha256(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="pass the sha256") as caught:
        download_archive(mirror.url, tmp_path / "genres")
    assert caught.value.code == "insecure_source"
    assert mirror.asked == []


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [(404, "not_found", False), (403, "storage", False), (503, "storage", True)],
)
def test_a_server_that_says_no_is_quoted(
    mirror: Mirror, tmp_path: Path, status: int, code: str, transient: bool
) -> None:
    mirror.status = status
    with pytest.raises(StorageError, match=f"the server answers {status}") as caught:
        download_archive(mirror.url, tmp_path / "genres", sha256="0" * 64)
    assert (caught.value.code, caught.value.transient) == (code, transient)


def test_a_lost_server_is_retried(mirror: Mirror, tmp_path: Path) -> None:
    mirror.server_close()
    with pytest.raises(StorageError, match="cannot download") as caught:
        download_archive(mirror.url, tmp_path / "genres", sha256="0" * 64)
    assert caught.value.transient


def test_a_local_archive_is_used_in_place(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "g.tar.gz", MEMBERS)
    digest = _sha256(archive.read_bytes())
    for source in (str(archive), archive.as_uri()):
        path = download_archive(source, tmp_path / "down" / "g", sha256=digest.upper())
        assert path == archive
    assert not (tmp_path / "down").exists()
    with pytest.raises(DatasetError, match="sha256 is"):
        download_archive(str(archive), tmp_path / "x", sha256="0" * 64)
    with pytest.raises(DatasetError, match="does not exist"):
        download_archive(str(tmp_path / "gone.tgz"), tmp_path / "x")


def test_a_dataset_comes_from_a_bucket_and_is_unpacked_once(bucket: str, tmp_path: Path) -> None:
    files.publish(tar_of(tmp_path / "g.tar.gz", MEMBERS), f"{bucket}/g.tar.gz")
    folder = download_dataset.fn(f"{bucket}/g.tar.gz", str(tmp_path / "scratch"))
    assert files_in(Path(folder)) == KEPT
    marker = Path(folder, ".complete.json").stat().st_mtime_ns
    assert download_dataset.fn(f"{bucket}/g.tar.gz", str(tmp_path / "scratch")) == folder
    assert Path(folder, ".complete.json").stat().st_mtime_ns == marker


def test_an_unpacked_dataset_with_a_known_sha256_needs_no_source(
    mirror: Mirror, tmp_path: Path
) -> None:
    digest = _sha256(mirror.data)
    folder = fetch_dataset(mirror.url, tmp_path / "scratch", sha256=digest)
    (tmp_path / "scratch" / "downloads").rename(tmp_path / "moved")
    assert fetch_dataset(mirror.url, tmp_path / "scratch", sha256=digest) == folder
    assert len(mirror.asked) == 1


def test_a_folder_is_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "genres").mkdir()
    assert fetch_dataset(str(tmp_path / "genres"), tmp_path / "scratch") == tmp_path / "genres"
    assert not (tmp_path / "scratch").exists()
