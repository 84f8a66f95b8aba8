"""Readers of foreign bytes, each as a function that returns how it took one input.

Anything but a result or an error that we name is a finding; so are a second of CPU time or 300 MB.
"""

import contextlib
import io
import json
import resource
import struct
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from nst_core.decoding.containers import read_declared
from nst_core.decoding.file_types import check_is_sound, known_container, start_of, tags_length
from nst_core.decoding.flac import find_streams
from nst_core.decoding.ogg import find_links
from nst_core.decoding.source import Source
from nst_core.decoding.tags import Tags, one_line, read_tags
from nst_core.errors import NSTError
from tasks.finished import _claim
from tasks.manifest.reading import read_manifest
from tasks.report.results import RowResult
from tasks.storage.seal import sealed
from tasks.storage.store import Record
from tasks.storage.writer_record import Record as WriterRecord
from tasks.unpack import ArchiveLimits, unpack_archive

CORPUS = Path(__file__).with_name("corpus")
_LIMITS = ArchiveLimits(max_members=500, max_bytes=8 << 20, ratio_free_bytes=1 << 20)
_SECONDS, _MEGABYTES = 1.0, 300


def manifest(data: bytes) -> None:
    """Read a manifest."""
    read_manifest(data, input_roots=["/in"])


def headers(data: bytes) -> None:
    """Check the header of a sound."""
    stream = io.BytesIO(data)
    head = start_of(stream)
    tags_length(data)
    known_container(head)
    for check in (
        lambda: check_is_sound(head, "x"),
        lambda: read_declared(stream, "x"),
        lambda: find_links(stream, "x"),
    ):
        with contextlib.suppress(NSTError):
            check()


def tags(data: bytes) -> None:
    """Read the tags and the cover of a sound, and find the streams of a FLAC file."""
    with tempfile.NamedTemporaryFile(dir=_fast()) as file:
        file.write(data)
        file.flush()
        source = Source(file.fileno(), "x")
        find_streams(source)
        found, _ = read_tags(source)
    if Tags.from_json(found.to_json()) != found:
        raise AssertionError("the tags do not survive JSON")
    for text in (*found.texts.values(), found.cover.mime_type if found.cover else ""):
        if one_line(text) != text:
            raise AssertionError(f"a tag is not harmless: {text!r}")


def archive(data: bytes) -> None:
    """Unpack an archive."""
    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        path = Path(folder, "g")
        path.write_bytes(data)
        unpack_archive(path, Path(folder, "out"), _LIMITS)


def provenance(data: bytes) -> None:
    """Read a provenance file."""
    _claim(data)


def record(data: bytes) -> None:
    """Read the record of a result, a part of a report, and the record of a writer."""
    for read in (Record.from_json, RowResult.from_json):
        with contextlib.suppress(ValueError, TypeError):
            read(data)
    WriterRecord.from_json(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (manifest, headers, tags, archive, provenance, record)
}


def took(name: str, data: bytes) -> bool:
    """Return whether a reader took an input; False if it refused it. Raise for a finding."""
    started, before = time.process_time(), _peak_mb()
    try:
        TARGETS[name](data)
        accepted = True
    except NSTError:
        accepted = False
    seconds, megabytes = time.process_time() - started, _peak_mb() - before
    if seconds > _SECONDS or megabytes > _MEGABYTES:
        raise AssertionError(f"{name}: {seconds:.1f} s and {megabytes:.0f} MB for one input")
    return accepted


def seeds(name: str) -> list[bytes]:
    """Return good inputs to start from, and the kept ones, which were findings once."""
    kept = sorted((CORPUS / name).glob("*")) if (CORPUS / name).is_dir() else []
    return [*_GOOD[name](), *(path.read_bytes() for path in kept)]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _fast() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _manifests() -> list[bytes]:
    head = b"id,ambience,music,strength,note\n"
    return [
        head + b"a,rain.wav,song.wav,0.5,x\nb,rain.wav+wind.wav,song.wav,1,\n",
        b"\xef\xbb\xbfambience;music\nr;s\n",
        b'ambience,music,start_s\n"a\nb",c,1e3\n',
        "ambience,music\nrain,s\n".encode("utf-16"),
    ]


def _sounds() -> list[bytes]:
    form = struct.pack("<HHIIHH", 1, 1, 22_050, 44_100, 2, 16)
    wav = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 64) + bytes(64)
    aiff = b"AIFFCOMM" + struct.pack(">IHIH", 18, 1, 32, 16) + b"\x40\x0d\xac\x44" + bytes(6)
    aiff += b"SSND" + struct.pack(">III", 72, 0, 0) + bytes(64)
    ogg = b"OggS\0\2" + bytes(8) + struct.pack("<III", 7, 0, 0) + b"\1\x1e\1vorbis" + bytes(23)
    return [
        b"RIFF" + struct.pack("<I", len(wav)) + wav,
        b"RF64\xff\xff\xff\xff" + wav,
        b"FORM" + struct.pack(">I", len(aiff)) + aiff,
        b".snd" + struct.pack(">IIIII", 24, 64, 3, 22_050, 1) + bytes(64),
        b"caff\0\1\0\0desc" + struct.pack(">Q", 32) + bytes(32) + b"data" + bytes(72),
        b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + bytes(64),
        b"ID3\4\0\0\0\0\0\x0aTIT2......" + b"\xff\xfb\x90\x64" + bytes(100),
        b"fLaC\0\0\0\x22" + bytes(34),
        ogg,
    ]


def _tagged() -> list[bytes]:
    """Return FLAC files with comments and a picture, and one with an ID3 tag before it."""
    form = struct.pack(">HH3s3sQ16s", 4096, 4096, bytes(3), bytes(3), 22_050 << 44 | 15 << 36, b"")
    comments = [
        b"TITLE=a",
        "ARTIST=\u00e9\n".encode(),
        b"TRACKNUMBER=1/2",
        b"COMMENT=" + b"x" * 600,
    ]
    text = struct.pack("<I", 1) + b"v" + struct.pack("<I", len(comments))
    text += b"".join(struct.pack("<I", len(each)) + each for each in comments)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0"
    picture = struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">I", 0)
    picture += struct.pack(">IIIII", 1, 1, 8, 0, len(png)) + png
    blocks = [(0, form), (4, text), (6, picture), (0x81, bytes(8))]
    flac = b"fLaC" + b"".join(
        bytes([kind]) + len(data).to_bytes(3, "big") + data for kind, data in blocks
    )
    return [flac, b"ID3\4\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0" + flac, flac + flac]


def _archives() -> list[bytes]:
    found = []
    for mode in ("w:", "w:gz"):
        for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode=mode, format=kind) as tar:
                for name in ("jazz/a.wav", f"jazz/{'b' * 60}/{'c' * 90}.au"):
                    info = tarfile.TarInfo(name)
                    info.size = 4
                    tar.addfile(info, io.BytesIO(b"RIFF"))
            found.append(stream.getvalue())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("jazz/a.wav", b"RIFF" * 9)
        package.writestr("LICENSE", b"mine")
    return [*found, stream.getvalue()]


def _provenances() -> list[bytes]:
    facts = {"id": "a", "sha256": "0" * 64, "figures": {"content": 0.5, "texture": None}}
    return [json.dumps(sealed(facts)).encode(), json.dumps(facts).encode()]


def _records() -> list[bytes]:
    good = Record(stage="s", key="k", sha256="a" * 64, size=1, suffix="wav", meta={"seconds": 1.5})
    row = RowResult(line=2, id="a", status="ok", facts={"content": 0.5})
    old = {"schema": 1, "stage": "s", "key": "k", "sha256": "a" * 64, "size": 1, "suffix": "x"}
    writer = {"writer": {"run_id": "r", "name": "n"}, "host": "h", "started": "", "lease_s": 90.0,
              "renewal": "x", "process": {"pid": 1, "birth": "2", "machine": "m"}}  # fmt: skip
    texts = (json.dumps(each) for each in ({**old, "meta": {}}, writer))
    return [good.to_json(), row.to_json().encode(), *(text.encode() for text in texts)]


_GOOD = {
    "manifest": _manifests,
    "headers": _sounds,
    "tags": _tagged,
    "archive": _archives,
    "provenance": _provenances,
    "record": _records,
}
