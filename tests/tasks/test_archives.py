"""An archive is unpacked whole and safely, or refused."""

import io
import json
import os
import tarfile
import threading
from pathlib import Path

import pytest

from nst_core.errors import DatasetError
from tasks.storage.errors import StorageError
from tasks.unpack import ArchiveLimits, passed_over, unpack_archive
from tests.archives import KEPT, LIMITS, MEMBERS, files_in, names_in, tar_of, with_member, zip_of


@pytest.mark.parametrize("kind", ["tar.gz", "tgz", "tar", "zip"])
def test_only_sounds_tracks_csv_and_licence_are_unpacked(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"g.{kind}"
    if kind == "zip":
        zip_of(archive, MEMBERS)
    else:
        tar_of(archive, MEMBERS, "w:" if kind == "tar" else "w:gz")
    folder = unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert files_in(folder) == KEPT
    assert (folder / "genres/jazz/jazz.00000.wav").read_bytes() == b"RIFF jazz"
    assert json.loads((folder / ".complete.json").read_text())["audio_files"] == 2
    assert passed_over(folder) == {".py": 1}
    assert names_in(tmp_path / "out") == ["g"]


def test_a_folder_from_an_earlier_version_counts_no_ignored_files(
    tmp_path: Path,
) -> None:
    (tmp_path / ".complete.json").write_text('{"members": 2, "bytes": 9, "audio_files": 2}')
    assert passed_over(tmp_path) == {}


@pytest.mark.parametrize(
    "name", ["../evil.wav", "/tmp/evil.wav", "a/../../evil.wav", "..\\evil.wav", "C:evil.wav"]
)
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_member_outside_the_folder_refuses_the_archive(
    tmp_path: Path, name: str, pack: object
) -> None:
    archive = pack(tmp_path / "g", {"a/good.wav": b"good", name: b"evil"})
    with pytest.raises(DatasetError, match="outside the dataset's folder") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "unsafe_archive"
    assert names_in(tmp_path / "out") == [], "nothing is left behind"
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_place_of_a_sound_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = with_member(tmp_path / "g.tgz", "jazz/a.wav", kind, "/etc/passwd")
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


@pytest.mark.parametrize("pack", [tar_of, zip_of])
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
    assert names_in(tmp_path / "out") == []


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_archive_is_named(tmp_path: Path, pack: object, damage: str) -> None:
    archive = pack(tmp_path / "g", {"a/good.wav": os.urandom(50_000)})
    data = bytearray(archive.read_bytes())
    data[20_000] ^= 0xFF
    archive.write_bytes(data if damage == "flip" else data[:30_000])
    with pytest.raises(DatasetError, match="damaged") as caught:
        unpack_archive(archive, tmp_path / "out" / "g", LIMITS)
    assert caught.value.code == "damaged_archive"
    assert names_in(tmp_path / "out") == []


def test_a_web_page_is_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "g.tar.gz").write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(DatasetError, match="starts with '<!DOCTYPE html>") as caught:
        unpack_archive(tmp_path / "g.tar.gz", tmp_path / "g", LIMITS)
    assert caught.value.code == "not_archive"


def test_an_archive_without_sound_is_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "g.tar.gz", {"README": b"nothing else"})
    with pytest.raises(DatasetError, match="contains no") as caught:
        unpack_archive(archive, tmp_path / "g", LIMITS)
    assert caught.value.code == "no_audio"


def test_a_folder_with_other_content_is_neither_taken_nor_touched(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "g.tar.gz", MEMBERS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="cannot unpack"):
        unpack_archive(archive, tmp_path / "mine", LIMITS)
    assert names_in(tmp_path / "mine") == ["thesis.txt"]


def test_two_processes_that_unpack_one_archive_both_get_all_of_it(tmp_path: Path) -> None:
    many = {f"jazz/{number}.wav": os.urandom(2_000) for number in range(100)}
    archive, folder, found = tar_of(tmp_path / "g.tar.gz", many), tmp_path / "out" / "g", []

    def unpack() -> None:
        found.append(len(files_in(unpack_archive(archive, folder, LIMITS))))

    threads = [threading.Thread(target=unpack) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100, 100, 100]
    assert names_in(tmp_path / "out") == ["g"]
