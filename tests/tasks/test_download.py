import hashlib
import io
import json
import os
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nst_core.errors import DatasetError
from tasks.download import download_archive, download_dataset, fetch_dataset
from tasks.storage import files
from tasks.storage.errors import StorageError
from tasks.unpack import ArchiveLimits, passed_over, unpack_archive

LIMITS = ArchiveLimits()
MEMBERS = {
    "genres/jazz/jazz.00000.wav": b"RIFF jazz",
    "genres/rock/rock.00000.au": b".snd rock",
    "genres/tracks.csv": b"file,artist\n",
    "genres/README.md": b"where it is from",
    "genres/jazz/.hidden.wav": b"no",
    "__MACOSX/genres/jazz/._jazz.00000.wav": b"no",
    "genres/setup.py": b"import os",
}
KEPT = [
    "genres/README.md",
    "genres/jazz/jazz.00000.wav",
    "genres/rock/rock.00000.au",
    "genres/tracks.csv",
]


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            package.writestr(name, data)
    return path


def _with_member(path: Path, name: str, kind: bytes, target: str = "") -> Path:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(info)
    return path


def _files(folder: Path) -> list[str]:
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != ".complete.json")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


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
    with Mirror(_tar(tmp_path / "served.tar.gz", noise).read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_download_appears_whole_and_once(mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "down" / "genres"
    path = download_archive(mirror.url, place, sha256=_sha256(mirror.data))
    assert path.read_bytes() == mirror.data
    assert _names(place.parent) == ["genres"]
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
    assert _names(tmp_path / "down") == []


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
    archive = _tar(tmp_path / "g.tar.gz", MEMBERS)
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
    files.publish(_tar(tmp_path / "g.tar.gz", MEMBERS), f"{bucket}/g.tar.gz")
    folder = download_dataset.fn(f"{bucket}/g.tar.gz", str(tmp_path / "scratch"))
    assert _files(Path(folder)) == KEPT
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


@pytest.mark.parametrize("kind", ["tar.gz", "tgz", "tar", "zip"])
def test_only_sounds_tracks_csv_and_licence_are_unpacked(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"g.{kind}"
    if kind == "zip":
        _zip(archive, MEMBERS)
    else:
        _tar(archive, MEMBERS, "w:" if kind == "tar" else "w:gz")
    folder = unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert _files(folder) == KEPT
    assert (folder / "genres/jazz/jazz.00000.wav").read_bytes() == b"RIFF jazz"
    assert json.loads((folder / ".complete.json").read_text())["audio_files"] == 2
    assert passed_over(folder) == {".py": 1}
    assert _names(tmp_path / "out") == ["g"]


def test_a_folder_from_an_earlier_version_counts_no_ignored_files(
    tmp_path: Path,
) -> None:
    (tmp_path / ".complete.json").write_text('{"members": 2, "bytes": 9, "audio_files": 2}')
    assert passed_over(tmp_path) == {}


@pytest.mark.parametrize(
    "name", ["../evil.wav", "/tmp/evil.wav", "a/../../evil.wav", "..\\evil.wav", "C:evil.wav"]
)
@pytest.mark.parametrize("pack", [_tar, _zip])
def test_a_member_outside_the_folder_refuses_the_archive(
    tmp_path: Path, name: str, pack: object
) -> None:
    archive = pack(tmp_path / "g", {"a/good.wav": b"good", name: b"evil"})
    with pytest.raises(DatasetError, match="outside the dataset's folder") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "unsafe_archive"
    assert _names(tmp_path / "out") == [], "nothing is left behind"
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_place_of_a_sound_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = _with_member(tmp_path / "g.tgz", "jazz/a.wav", kind, "/etc/passwd")
    with pytest.raises(DatasetError, match="is a link, a device or encrypted") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "unsafe_archive"


def test_a_duplicate_member_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "g.tar", "w") as tar:
        for data in (b"one", b"two"):
            info = tarfile.TarInfo("a.wav")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(DatasetError, match="occurs twice"):
        unpack_archive(tmp_path / "g.tar", tmp_path / "g", LIMITS)


@pytest.mark.parametrize("pack", [_tar, _zip])
@pytest.mark.parametrize(
    "limits",
    [
        ArchiveLimits(max_members=3),
        ArchiveLimits(max_bytes=1_000_000),
        ArchiveLimits(ratio_free_bytes=1_000_000),
    ],
)
def test_a_bomb_is_refused(tmp_path: Path, pack: object, limits: ArchiveLimits) -> None:
    zeros = {f"a/{number}.wav": bytes(1_000_000) for number in range(4)}
    archive = pack(tmp_path / "bomb", zeros)
    with pytest.raises(DatasetError, match="unpack it yourself") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", limits)
    assert caught.value.code == "archive_too_big"
    assert _names(tmp_path / "out") == []


@pytest.mark.parametrize("pack", [_tar, _zip])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_archive_is_named(tmp_path: Path, pack: object, damage: str) -> None:
    archive = pack(tmp_path / "g", {"a/good.wav": os.urandom(50_000)})
    data = bytearray(archive.read_bytes())
    data[20_000] ^= 0xFF
    archive.write_bytes(data if damage == "flip" else data[:30_000])
    with pytest.raises(DatasetError, match="damaged") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "damaged_archive"
    assert _names(tmp_path / "out") == []


def test_a_web_page_is_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "g.tar.gz").write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(DatasetError, match="starts with '<!DOCTYPE html>") as caught:
        unpack_archive(tmp_path / "g.tar.gz", tmp_path / "g", LIMITS)
    assert caught.value.code == "not_archive"


def test_an_archive_without_sound_is_refused(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "g.tar.gz", {"README": b"nothing else"})
    with pytest.raises(DatasetError, match="contains no") as caught:
        unpack_archive(archive, tmp_path / "g", LIMITS)
    assert caught.value.code == "no_audio"


def test_a_folder_with_other_content_is_neither_taken_nor_touched(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "g.tar.gz", MEMBERS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="cannot unpack"):
        unpack_archive(archive, tmp_path / "mine", LIMITS)
    assert _names(tmp_path / "mine") == ["thesis.txt"]


def test_two_processes_that_unpack_one_archive_both_get_all_of_it(tmp_path: Path) -> None:
    many = {f"jazz/{number}.wav": os.urandom(2_000) for number in range(100)}
    archive, folder, found = _tar(tmp_path / "g.tar.gz", many), tmp_path / "out" / "g", []

    def unpack() -> None:
        found.append(len(_files(unpack_archive(archive, folder, LIMITS))))

    threads = [threading.Thread(target=unpack) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100, 100, 100]
    assert _names(tmp_path / "out") == ["g"]
