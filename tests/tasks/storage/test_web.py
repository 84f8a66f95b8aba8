"""What a bad server leaves behind: nothing that a later run would take for the dataset."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nst_core.errors import DatasetError, NSTError
from tasks import download
from tasks.download import download_archive, fetch_dataset
from tasks.storage.errors import StorageError
from tasks.unpack import ArchiveLimits
from tests.web import answer, make_certificate, tls_server

PAGE = b"<!DOCTYPE html><title>Sign in</title>" * 100


def _dataset() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("jazz/a.wav", "rock/b.wav"):
            info = tarfile.TarInfo(name)
            info.size = 100_000
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    return packed.getvalue()


GOOD = _dataset()
CUT = GOOD[:100_000]
CHUNKED = "Transfer-Encoding: chunked"


def _chunks(data: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) + end


BAD = {
    "ends early, as its length shows": answer(CUT, length=len(GOOD)),
    "ends early, without a length": answer(CUT, length=None),
    "ends early in chunks": answer(_chunks(CUT, b""), CHUNKED, length=None),
    "claims too short a length": answer(CUT, length=len(CUT)),
    "claims that chunks ended": answer(_chunks(CUT), CHUNKED, length=None),
    "login page": answer(PAGE, "Content-Type: text/html; charset=utf-8"),
    "login page of another type": answer(PAGE, "Content-Type: application/gzip"),
    "login page, compressed": answer(gzip.compress(PAGE), "Content-Type: application/gzip"),
    "nothing": answer(b""),
    "no content": answer(b"", status="204 No Content", length=None),
    "part that nobody asked for": answer(
        CUT,
        f"Content-Range: bytes 0-{len(CUT) - 1}/{len(GOOD)}",
        status="206 Partial Content",
    ),
    "error in JSON": answer(b'{"error": "quota"}', "Content-Type: application/json"),
    "other bytes in the middle": answer(
        GOOD[:90_000] + bytes(20_000) + GOOD[110_000:], length=len(GOOD)
    ),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return


def _kept(scratch: Path) -> list[str]:
    return [path.name for path in (scratch / "downloads").iterdir()]


@pytest.mark.parametrize("name", BAD)
def test_the_next_run_heals_what_a_bad_server_sent(
    certificate: Path, tmp_path: Path, name: str
) -> None:
    answers = [BAD[name], answer(GOOD)]
    with tls_server(certificate, lambda *_: [answers.pop(0)]) as (url, _):
        with pytest.raises(NSTError):
            fetch_dataset(f"{url}/g.tar.gz", tmp_path)
        assert not [each for each in _kept(tmp_path) if "." not in each], "no bad file has a name"
        folder = fetch_dataset(f"{url}/g.tar.gz", tmp_path)
    assert sorted(path.name for path in folder.rglob("*.wav")) == ["a.wav", "b.wav"]


def test_a_file_that_an_earlier_version_kept_is_healed_in_the_same_run(
    certificate: Path, tmp_path: Path
) -> None:
    with tls_server(certificate, lambda *_: [answer(GOOD)]) as (url, asked):
        source = f"{url}/g.tar.gz"
        fetch_dataset(source, tmp_path)
        (kept,) = (tmp_path / "downloads").iterdir()
        kept.write_bytes(PAGE)
        assert len(list(fetch_dataset(source, tmp_path).rglob("*.wav"))) == 2
    assert len(asked) == 2


def test_a_web_page_is_named_as_such(certificate: Path, tmp_path: Path) -> None:
    with (
        tls_server(certificate, lambda *_: [BAD["login page"]]) as (url, _),
        pytest.raises(StorageError, match=r"answers with a web page .*log in") as caught,
    ):
        download_archive(f"{url}/g.tar.gz", tmp_path / "down" / "g")
    assert (caught.value.code, caught.value.transient) == ("web_page", False)


@pytest.mark.parametrize("has_length", [True, False])
def test_a_download_without_end_is_stopped(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_length: bool
) -> None:
    monkeypatch.setattr(download, "LIMITS", ArchiveLimits(max_bytes=300_000))
    length = 1 << 50 if has_length else None
    pieces = [answer(b"", length=length), *[bytes(100_000)] * 50]
    with (
        tls_server(certificate, lambda *_: pieces) as (url, _),
        pytest.raises(StorageError, match="more than 300000 bytes") as caught,
    ):
        fetch_dataset(f"{url}/g.tar.gz", tmp_path)
    assert caught.value.code == "archive_too_big"
    assert _kept(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("https://localhost:{port}/other", "private address"),
        ("https://169.254.169.254/latest/meta-data", "private address"),
        ("https://[::ffff:10.0.0.1]/g.tar.gz", "private address"),
        ("http://127.0.0.1:{port}/other", "without encryption"),
        ("ftp://127.0.0.1/other", "without encryption"),
        ("/again", "redirects"),
    ],
)
def test_a_detour_is_refused_before_it_is_taken(
    certificate: Path, tmp_path: Path, place: str, reason: str
) -> None:
    def reply(*_: object) -> list[bytes]:
        port = url.rpartition(":")[2]
        goal = place.format(port=port)
        return [answer(b"", f"Location: {goal}", status="302 Found")]

    with tls_server(certificate, reply) as (url, asked):
        with pytest.raises(StorageError, match=reason):
            fetch_dataset(f"{url}/g.tar.gz", tmp_path)
        assert set(asked) <= {"/g.tar.gz", "/again"}


def test_a_redirect_on_the_same_host_is_followed(certificate: Path, tmp_path: Path) -> None:
    def reply(path: str, _: object) -> list[bytes]:
        if path == "/g.tar.gz":
            return [answer(b"", "Location: /mirror/g.tar.gz", status="302 Found")]
        return [answer(GOOD)]

    with tls_server(certificate, reply) as (url, asked):
        assert fetch_dataset(f"{url}/g.tar.gz", tmp_path).is_dir()
    assert asked == ["/g.tar.gz", "/mirror/g.tar.gz"]


def test_a_rest_that_does_not_fit_is_not_appended(certificate: Path, tmp_path: Path) -> None:
    """The server's file grew, but it does not say so."""
    n = len(CUT)
    first = answer(CUT, 'ETag: "a"', length=len(GOOD))
    rest = answer(
        GOOD[n : n + 50], f"Content-Range: bytes {n}-{n + 49}/{len(GOOD)}", status="206 Partial"
    )
    answers = [first, rest, answer(GOOD)]
    with tls_server(certificate, lambda *_: [answers.pop(0)]) as (url, _):
        for _ in range(2):
            with pytest.raises(StorageError) as caught:
                download_archive(f"{url}/g", tmp_path / "down" / "g")
            assert caught.value.transient
        assert download_archive(f"{url}/g", tmp_path / "down" / "g").read_bytes() == GOOD


def test_an_archive_of_the_right_sha256_that_does_not_unpack_is_not_kept(
    certificate: Path, tmp_path: Path
) -> None:
    from nst_core.checksum import sha256_of

    (tmp_path / "page").write_bytes(PAGE)
    with tls_server(certificate, lambda *_: [answer(PAGE)]) as (url, _):
        with pytest.raises(DatasetError, match="is not a"):
            fetch_dataset(f"{url}/g", tmp_path / "s", sha256=sha256_of(tmp_path / "page"))
    assert _kept(tmp_path / "s") == []
