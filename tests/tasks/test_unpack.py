"""Archives that take much memory or time for their size are refused before they do."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nst_core.errors import DatasetError
from tasks.unpack import ArchiveLimits, unpack_archive

LIMITS = ArchiveLimits()
BLOCK = tarfile.BLOCKSIZE


def _header(kind: bytes, size: int, name: str = "./PaxHeaders/x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def _pax(name: str, value: str) -> bytes:
    body = f" {name}={value}\n".encode()
    size = len(body) + 1
    while len(f"{size}".encode()) + len(body) != size:
        size += 1
    return f"{size}".encode() + body


def _file(name: str = "jazz/a.wav") -> bytes:
    return _header(tarfile.REGTYPE, 4, name) + _padded(b"RIFF")


def _zipped(path: Path, pieces: Iterator[bytes] | list[bytes]) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as out:
        for piece in pieces:
            out.write(piece)
        out.write(bytes(2 * BLOCK))
    return path


def _large_extension(kind: bytes) -> Iterator[bytes]:
    yield _header(kind, 64 << 20)
    for _ in range(64):
        yield b"x" * (1 << 20)
    yield _file()


def _many_globals() -> Iterator[bytes]:
    """Global headers that say different things, so that tarfile keeps them all."""
    for number in range(100):
        body = _pax(f"comment{number}", "x" * 10_000)
        yield _header(tarfile.XGLTYPE, len(body)) + _padded(body) + _file(f"jazz/{number}.wav")


def _many_members() -> Iterator[bytes]:
    for number in range(1_000):
        body = _pax(f"comment{number}", "x" * 10_000)
        yield _header(tarfile.XHDTYPE, len(body)) + _padded(body) + _file(f"jazz/{number}.wav")


@contextmanager
def _memory_below(n_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_of_64_mib_is_refused_unread(tmp_path: Path, kind: bytes) -> None:
    archive = _zipped(tmp_path / "g.tgz", _large_extension(kind))
    assert archive.stat().st_size < 500_000
    with (
        _memory_below(16 << 20),
        pytest.raises(DatasetError, match=r"header of 6710\d+ bytes") as caught,
    ):
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "archive_too_big"
    assert list((tmp_path / "out").iterdir()) == []


def test_many_headers_for_the_whole_archive_are_refused(tmp_path: Path) -> None:
    archive = _zipped(tmp_path / "g.tgz", _many_globals())
    with _memory_below(16 << 20), pytest.raises(DatasetError, match="more than 64 kinds") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "archive_too_big"


def test_attributes_of_many_members_are_not_kept(tmp_path: Path) -> None:
    archive = _zipped(tmp_path / "g.tgz", _many_members())
    with _memory_below(6 << 20):
        folder = unpack_archive(archive, tmp_path / "g", LIMITS)
    assert len(list(folder.rglob("*.wav"))) == 1_000


def test_headers_that_follow_one_another_are_refused_before_the_stack_ends(tmp_path: Path) -> None:
    body = _padded(_pax("comment", "x"))
    one = _header(tarfile.XGLTYPE, len(_pax("comment", "x"))) + body
    archive = _zipped(tmp_path / "g.tgz", [one] * 2_000 + [_file()])
    with pytest.raises(DatasetError, match="headers") as caught:
        unpack_archive(archive, tmp_path / "g", LIMITS)
    assert caught.value.code in {"archive_too_big", "damaged_archive"}


def test_a_member_of_negative_size_is_refused(tmp_path: Path) -> None:
    """tarfile would go backwards and read the same member for ever (CVE-2025-8194)."""
    evil = bytearray(_header(tarfile.REGTYPE, 0, "evil.bin"))
    evil[124:136] = struct.pack(">4sq", b"\xff\xff\xff\xff", -1024)
    evil[148:156] = b"        "
    evil[148:156] = b"%06o\0 " % sum(evil)
    negative = _pax("size", "-1024")
    said = _header(tarfile.XHDTYPE, len(negative)) + _padded(negative) + _file("jazz/b.wav")
    for number, piece in enumerate([bytes(evil), said]):
        archive = _zipped(tmp_path / f"{number}.tgz", [_file(), piece, _file("jazz/c.wav")])
        with pytest.raises(DatasetError, match=r"damaged|size") as caught:
            unpack_archive(archive, tmp_path / "out" / f"{number}", LIMITS)
        assert caught.value.code in {"damaged_archive", "unsafe_archive"}


def test_a_zip_with_a_million_names_is_refused_unread(tmp_path: Path) -> None:
    entry = struct.pack(
        "<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
    )
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as package:
        package.writestr("jazz/a.wav", b"RIFF")
    start = (tmp_path / "one.zip").read_bytes()[:44]
    names = (entry + b"a") * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(names), len(start), 0)
    (tmp_path / "g.zip").write_bytes(start + names + end)
    with _memory_below(16 << 20), pytest.raises(DatasetError, match="names") as caught:
        unpack_archive(tmp_path / "g.zip", tmp_path / "g", LIMITS)
    assert caught.value.code == "archive_too_big"


def test_ordinary_headers_are_read(tmp_path: Path) -> None:
    """A long name, a comment for the whole archive, an attribute of a file."""
    name = f"jazz/{'long/' * 60}a.wav"
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "made"}
    ) as tar:
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = 4, {"SCHILY.xattr.user.note": "x" * 10_000}
        tar.addfile(info, io.BytesIO(b"RIFF"))
    (tmp_path / "g.tgz").write_bytes(packed.getvalue())
    assert (unpack_archive(tmp_path / "g.tgz", tmp_path / "g", LIMITS) / name).is_file()
