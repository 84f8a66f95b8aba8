"""Files that are no manifest are named for what they are."""

import gzip
import io
import re
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from tasks.manifest.problems import ManifestError
from tasks.manifest.reading import read_manifest

CSV = b"ambience,music\na.wav,b.wav\n"


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[bytes], ManifestError]:
    """Why a file is refused as a manifest."""

    def read(data: bytes) -> ManifestError:
        path = tmp_path / "night.csv"
        path.write_bytes(data)
        with pytest.raises(ManifestError) as caught:
            read_manifest(path)
        return caught.value

    return read


@pytest.mark.parametrize(
    ("container", "name"),
    [("OGG", "OGG"), ("FLAC", "FLAC"), ("WAV", "WAV"), ("AIFF", "AIFF"), ("MP3", "MP3"),
     ("CAF", "CAF"), ("W64", "Wave64")],
)  # fmt: skip
def test_a_sound_is_named_and_the_way_out_is_plan(
    refusal: Callable[[bytes], ManifestError], container: str, name: str
) -> None:
    sound = io.BytesIO()
    sf.write(sound, 0.1 * np.sin(np.arange(22_050) / 10), 22_050, format=container)
    error = refusal(sound.getvalue())
    assert "night.csv: is a" in str(error)
    assert name in str(error)
    assert "amnst plan" in str(error)
    assert error.code == "not_csv"


def _zip(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in (*names, "night.csv"):
            archive.writestr(name, CSV)
    return packed.getvalue()


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("night.csv")
        entry.size = len(CSV)
        archive.addfile(entry, io.BytesIO(CSV))
    return packed.getvalue()


def _parquet() -> bytes:
    written = io.BytesIO()
    pd.DataFrame({"ambience": ["a.wav"], "music": ["b.wav"]}).to_parquet(written)
    return written.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.execute("create table pairs (ambience, music)")
        data = database.serialize()
    database.close()
    return data


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: _zip("_rels/.rels", "xl/workbook.xml"), "an Excel workbook; save the sheet as"),
        (lambda: _zip("mimetype", "content.xml"), "an OpenDocument sheet; save the sheet as CSV"),
        (lambda: _zip("Index/Document.iwa"), "a Numbers sheet; export it as CSV UTF-8"),
        (lambda: _zip("word/document.xml"), "a Word document; a manifest is a CSV file"),
        (lambda: _zip("pairs.csv"), "a zip file; unpack it"),
        (lambda: _zip("xl/workbook.xml")[:80], "an Excel workbook or a zip file; .* or unpack it"),
        (lambda: b'\xef\xbb\xbf\n{"ambience": "a.wav"}', "is JSON; write it as CSV UTF-8"),
        (lambda: b'[{"ambience": "a.wav"}]', "is JSON; write it as CSV UTF-8"),
        (lambda: b"<html><table>", "is XML or HTML; save the sheet as CSV UTF-8"),
        (lambda: b"#EXTM3U\na.wav\n", "is a playlist; a manifest is a CSV file"),
        (lambda: b"%PDF-1.7\n", "is a PDF document; a manifest is a CSV file"),
        (lambda: b"\xff\xfa\x90\x64" + bytes(400), "is an MP3 sound"),
        (lambda: gzip.compress(CSV), "a gzip file; unpack it"),
        (_tar, "a tar archive; unpack it"),
        (_parquet, "a Parquet file; write it as CSV"),
        (_sqlite, "an SQLite database; export the table"),
        (lambda: b"\x7fELF\x02\x01\0\0", "is not text"),
    ],
)
def test_an_archive_or_a_sheet_is_named_with_its_way_out(
    refusal: Callable[[bytes], ManifestError], make: Callable[[], bytes], name: str
) -> None:
    error = refusal(make())
    assert re.search(name, str(error))
    assert error.code == "not_csv"
