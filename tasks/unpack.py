"""Unpack an archive into a folder, within limits, because the archive may be hostile.

A folder that contains ``.complete.json`` was unpacked completely.

`tarfile.data_filter` would not shorten this: it accepts absolute names (as relative ones) and
links that stay inside, which we refuse, has no limits, and does not handle a ``.zip``.
"""

import gzip
import json
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nst_core.classifier.sound_files import SOUND_SUFFIXES
from nst_core.errors import DatasetError
from tasks.storage.archives import Member, members, too_big
from tasks.storage.errors import reported

_COMPLETE = ".complete.json"
_CHUNK = 1 << 20
_TEXTS = ("tracks.csv", "readme", "license", "licence")
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not know
)


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """Limits on an unpacked archive; a larger one is refused as a decompression bomb."""

    max_members: int = 20_000
    max_bytes: int = 4 << 30
    max_ratio: float = 100.0
    """Unpacked bytes per archive byte, once they exceed `ratio_free_bytes`."""
    ratio_free_bytes: int = 64 << 20


def unpack_archive(archive: Path, folder: Path, limits: ArchiveLimits) -> Path:
    """Unpack the audio files, tracks.csv and licence of an archive into a new folder.

    Raises
    ------
    DatasetError
        ``not_archive``, ``unsafe_archive``, ``archive_too_big``, ``damaged_archive`` or
        ``no_audio``; nothing is left at `folder`.
    """
    if is_unpacked(folder):
        return folder
    with reported(str(folder), "unpack"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder.parent) as temporary:
            try:
                _unpack(archive, Path(temporary, "whole"), limits)
            except _DAMAGE as error:
                message = f"{archive}: damaged: {error}; download it again"
                raise DatasetError(message, code="damaged_archive") from error
            _settle(Path(temporary, "whole"), folder)
    return folder


def is_unpacked(folder: Path) -> bool:
    """Return whether a folder contains a completely unpacked archive."""
    return (folder / _COMPLETE).is_file()


def passed_over(folder: Path) -> dict[str, int]:
    """Return the suffixes of the files that were not unpacked, with the number of each."""
    if not is_unpacked(folder):
        return {}
    summary = json.loads((folder / _COMPLETE).read_text("utf-8"))
    counts: dict[str, int] = summary.get("passed_over", {})  # earlier versions counted none
    return counts


def _unpack(archive: Path, folder: Path, limits: ArchiveLimits) -> None:
    ratio_bytes = int(limits.max_ratio * archive.stat().st_size)
    budget = min(limits.max_bytes, max(ratio_bytes, limits.ratio_free_bytes))
    n_members = n_bytes = n_audio = 0
    passed_over: Counter[str] = Counter()
    folder.mkdir()
    for member in members(archive):
        n_members += 1
        n_bytes += max(member.size, 0)
        if n_members > limits.max_members or n_bytes > budget:
            fact = f"unpacks to more than {limits.max_members} members or {budget} bytes"
            raise too_big(archive, fact)
        name = _safe_name(archive, member.name)
        if _is_wanted(name) and member.kind != "folder":
            _extract(archive, member, folder / name)
            n_audio += name.suffix.lower() in SOUND_SUFFIXES
        elif member.kind == "file" and not _is_hidden(name):
            passed_over[name.suffix.lower()] += 1
    if not n_audio:
        raise DatasetError(
            f"{archive}: contains no {', '.join(SOUND_SUFFIXES)} file", code="no_audio"
        )
    summary = {
        "members": n_members,
        "bytes": n_bytes,
        "audio_files": n_audio,
        "passed_over": dict(sorted(passed_over.items())),
    }
    (folder / _COMPLETE).write_text(json.dumps(summary), "utf-8")


def _safe_name(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\\x00-\x1f]|^[A-Za-z]:", name):
        message = f"{archive}: the member {name!r} would be outside the dataset's folder"
        raise DatasetError(message, code="unsafe_archive")
    return path


def _is_hidden(name: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.parts)


def _is_wanted(name: PurePosixPath) -> bool:
    if _is_hidden(name):
        return False
    text = name.name.lower()
    return name.suffix.lower() in SOUND_SUFFIXES or text.startswith(_TEXTS)


def _extract(archive: Path, member: Member, target: Path) -> None:
    stream = member.open() if member.kind == "file" else None
    if stream is None or target.exists():
        rule = "occurs twice" if stream else "is a link, a device or encrypted"
        message = f"{archive}: the member {member.name!r} {rule}"
        raise DatasetError(message, code="unsafe_archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    with stream, target.open("xb") as output:
        shutil.copyfileobj(stream, output, _CHUNK)


def _settle(whole: Path, folder: Path) -> None:
    """Rename into place; another process may have unpacked the same archive first."""
    try:
        whole.rename(folder)
    except OSError:
        if not is_unpacked(folder):
            raise
