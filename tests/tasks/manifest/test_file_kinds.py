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


def _zip(first: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(first, "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("night.csv", CSV)
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
        (lambda: _zip("[Content_Types].xml"), "an Excel workbook; save the sheet as CSV UTF-8"),
        (lambda: _zip("mimetype"), "an OpenDocument sheet; save the sheet as CSV UTF-8"),
        (lambda: _zip("pairs.csv"), "a zip file; .* unpack it"),
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
