"""Kinds of files that people pass as a manifest by mistake, recognised by their first bytes.

A library that knows hundreds of formats would be one more dependency for this one message.
"""

import io
import zipfile
from typing import NamedTuple

NOT_A_MANIFEST = (
    "a manifest is a CSV file that names pairs; `amnst plan --ambience FILES --music FILES "
    "> manifest.csv` writes one"
)
_SAVE = "save the sheet as CSV UTF-8"
_WRITE = "write it as CSV UTF-8"
_UNPACK = "unpack it and pass the CSV file"


_MP3 = (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)
"""Second bytes of an MP3 frame: MPEG 1, 2 and 2.5, without and with a checksum."""


class FileKind(NamedTuple):
    """A kind of file, with its article, and what to do with it."""

    name: str
    way_out: str


_KINDS: tuple[tuple[int, bytes, FileKind], ...] = tuple(
    (offset, signature, FileKind(name, way_out))
    for offset, signature, name, way_out in (
        (0, b"OggS", "an OGG sound", NOT_A_MANIFEST),
        (0, b"fLaC", "a FLAC sound", NOT_A_MANIFEST),
        (8, b"WAVE", "a WAV sound", NOT_A_MANIFEST),
        (8, b"AIFF", "an AIFF sound", NOT_A_MANIFEST),
        (8, b"AIFC", "an AIFF sound", NOT_A_MANIFEST),
        (0, b"ID3", "an MP3 sound", NOT_A_MANIFEST),
        *((0, b"\xff" + bytes([byte]), "an MP3 sound", NOT_A_MANIFEST) for byte in _MP3),
        (0, b"\xff\xf1", "an AAC sound", NOT_A_MANIFEST),
        (0, b"\xff\xf9", "an AAC sound", NOT_A_MANIFEST),
        (4, b"ftyp", "an MP4 or M4A file", NOT_A_MANIFEST),
        (0, b"caff", "a CAF sound", NOT_A_MANIFEST),
        (0, b"riff", "a Wave64 sound", NOT_A_MANIFEST),
        (0, b"\x30\x26\xb2\x75", "a WMA sound", NOT_A_MANIFEST),
        (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file", NOT_A_MANIFEST),
        (0, b"MThd", "a MIDI file", NOT_A_MANIFEST),
        (0, b"\xd0\xcf\x11\xe0", "an Excel workbook of the old format", _SAVE),
        (0, b"\x1f\x8b", "a gzip file", _UNPACK),
        (0, b"BZh", "a bzip2 file", _UNPACK),
        (0, b"\xfd7zXZ", "an xz file", _UNPACK),
        (0, b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
        (0, b"7z\xbc\xaf", "a 7z archive", _UNPACK),
        (0, b"Rar!", "a RAR archive", _UNPACK),
        (257, b"ustar", "a tar archive", _UNPACK),
        (0, b"PAR1", "a Parquet file", _WRITE),
        (0, b"SQLite format 3", "an SQLite database", "export the table as CSV UTF-8"),
        (0, b"\x89PNG", "a PNG picture", NOT_A_MANIFEST),
        (0, b"\xff\xd8\xff", "a JPEG picture", NOT_A_MANIFEST),
        (0, b"%PDF", "a PDF document", NOT_A_MANIFEST),
    )
)


_ZIPPED = (
    ("xl/", FileKind("an Excel workbook", _SAVE)),
    ("content.xml", FileKind("an OpenDocument sheet", _SAVE)),
    ("Index/", FileKind("a Numbers sheet", "export it as CSV UTF-8")),
    ("word/", FileKind("a Word document", NOT_A_MANIFEST)),
)
"""Kinds of zip files, by the start of a name in them."""
_TEXTS = (
    (b"[playlist]", FileKind("a playlist", NOT_A_MANIFEST)),
    (b"#EXTM3U", FileKind("a playlist", NOT_A_MANIFEST)),
    (b"{", FileKind("JSON", _WRITE)),
    (b"[", FileKind("JSON", _WRITE)),
    (b"<", FileKind("XML or HTML", _SAVE)),
)
"""Kinds of text, by its start; no column's name starts so."""


def kind_of_file(data: bytes) -> FileKind | None:
    """Return what a file is if it is a known kind of sound, archive, sheet, picture or text."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(data)
    for offset, signature, kind in _KINDS:
        if data[offset : offset + len(signature)] == signature:
            return kind
    text = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for start, kind in _TEXTS if text.startswith(start)), None)


def _kind_of_zip(data: bytes) -> FileKind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            names = package.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return FileKind("an Excel workbook or a zip file", f"{_SAVE}, or {_UNPACK}")
    kinds = (kind for start, kind in _ZIPPED if any(name.startswith(start) for name in names))
    return next(kinds, FileKind("a zip file", _UNPACK))
