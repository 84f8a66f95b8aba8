"""A genre dataset's archive, or a folder, becomes a verified local folder.

Nothing is downloaded without being asked for: the user names the source. An
archive is hostile until it has been unpacked within limits; a folder that holds
``.complete.json`` was unpacked whole.
"""

import functools
import gzip
import hashlib
import json
import logging
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple, TypeAlias

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE

from nst_core.errors import DatasetError
from tasks.retry import retry_transient
from tasks.store import StorageError, fetch_input, is_remote, local, reported, scrub, sha256_file

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes so far and, where known, the bytes in all."""

AUDIO_SUFFIXES = frozenset({".wav", ".au", ".flac", ".ogg", ".mp3"})
_COMPLETE = ".complete.json"
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
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
    """What an archive may unpack to; beyond it, it is refused as a bomb."""

    max_members: int = 20_000
    max_bytes: int = 4 << 30
    max_ratio: float = 100.0
    """Unpacked bytes per archive byte, once they exceed `ratio_free_bytes`."""
    ratio_free_bytes: int = 64 << 20


Kind: TypeAlias = Literal["file", "folder", "other"]


class _Member(NamedTuple):
    name: str
    size: int
    kind: Kind
    open: Callable[[], IO[bytes] | None]


@task(
    name="download-dataset",
    retries=3,
    retry_delay_seconds=[2, 10, 60],
    retry_condition_fn=retry_transient,
    cache_policy=NO_CACHE,
)
def download_dataset(source: str, scratch: str, sha256: str | None = None) -> str:
    """Prefect task around `fetch_dataset`: the unpacked folder is its own cache."""
    return str(fetch_dataset(source, Path(scratch), sha256=sha256))


def fetch_dataset(
    source: str,
    scratch: Path,
    *,
    sha256: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Return the local folder of a dataset, fetched and unpacked at most once.

    Parameters
    ----------
    source
        A folder (used in place), or an archive: path, ``file://``, ``s3://``, ``https://``.
    scratch
        Folder for downloads and unpacked datasets.
    sha256
        What the archive must have; required for ``http://``.

    Raises
    ------
    DatasetError
        When the source is missing, is not what `sha256` says, or cannot be unpacked safely.
    StorageError
        When a server or disk fails.
    """
    if "://" not in source and Path(source).is_dir():
        return Path(source).absolute()
    unpacked = scratch / "datasets"
    if sha256 and (unpacked / sha256.lower() / _COMPLETE).is_file():
        return unpacked / sha256.lower()
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    destination = scratch / "downloads" / name
    archive = download_archive(source, destination, sha256=sha256, on_progress=on_progress)
    return unpack_archive(archive, unpacked / sha256_file(archive), ArchiveLimits())


def download_archive(
    source: str,
    destination: Path,
    *,
    sha256: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Return a local, verified archive; an interrupted ``http(s)`` download is resumed.

    A local archive is used in place. Anything else appears at `destination` when it is
    whole and has the sha256, never before; a file that is there already is not fetched again.
    """
    if re.match(r"https?://", source):
        return _download(source, destination, _web, sha256, on_progress)
    if is_remote(source):
        return _download(source, destination, _s3, sha256, on_progress)
    path = local(source)
    if not path.is_file():
        raise DatasetError(f"dataset {source} does not exist", code="dataset_not_found")
    _verify(source, path, sha256)
    return path


def unpack_archive(archive: Path, folder: Path, limits: ArchiveLimits) -> Path:
    """Unpack the audio files, tracks.csv and licence of an archive into a new folder.

    Raises
    ------
    DatasetError
        ``not_archive``, ``unsafe_archive``, ``archive_too_big``, ``damaged_archive`` or
        ``no_audio``; nothing is left at `folder`.
    """
    if (folder / _COMPLETE).is_file():
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


def _download(
    source: str,
    destination: Path,
    get: Callable[[str, Path, OnProgress], None],
    sha256: str | None,
    on_progress: OnProgress | None,
) -> Path:
    if destination.is_file() and sha256 in {None, sha256_file(destination)}:
        return destination
    if source.startswith("http://") and not sha256:
        message = f"{scrub(source)}: plain http can be tampered with; give the sha256 or use https"
        raise DatasetError(message, code="insecure_source")
    part = destination.with_name(f"{destination.name}.part")
    with reported(str(destination), "write"):
        destination.parent.mkdir(parents=True, exist_ok=True)
    get(source, part, on_progress or _silent)
    try:
        _verify(source, part, sha256)
    except DatasetError:
        # Resuming wrong bytes would end in the same place.
        part.unlink()
        raise
    with reported(str(destination), "write"):
        part.replace(destination)
    return destination


def _silent(done: int, total: int | None) -> None:
    logger.debug("%s of %s bytes", done, total)


def _verify(source: str, path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = sha256_file(path)
    if found != sha256.lower():
        message = f"{scrub(source)}: sha256 is {found}, {sha256} was asked for; check the source"
        raise DatasetError(message, code="sha256_mismatch")


def _s3(source: str, part: Path, on_progress: OnProgress) -> None:
    with fetch_input(source, part.parent) as path:
        path.replace(part)
    on_progress(part.stat().st_size, part.stat().st_size)


def _web(source: str, part: Path, on_progress: OnProgress) -> None:
    """Fetch what is missing of `part`; a server that changed its file sends it all again."""
    validator = part.with_name(f"{part.name}.validator")
    offset = part.stat().st_size if part.is_file() and validator.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator.read_text("utf-8")}
    try:
        with (
            reported(str(part), "write"),
            httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30, connect=10)) as client,
            client.stream("GET", source, headers=headers) as response,
        ):
            _expect(source, response)
            _expect_rest(source, response, offset, validator)
            _receive(response, part, offset if response.status_code == 206 else 0, on_progress)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise _failed(source, reason, transient=True) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(source, str(error)) from error
    validator.unlink(missing_ok=True)


def _failed(
    source: str, reason: str, *, code: str = "storage", transient: bool = False
) -> StorageError:
    return StorageError(source, "download", reason, code=code, transient=transient)


def _expect(source: str, response: httpx.Response) -> None:
    status = response.status_code
    if source.startswith("https://") and response.url.scheme != "https":
        raise _failed(source, f"it leads to {response.url.scheme}://, without encryption")
    if status not in {200, 206, 416}:
        code = "not_found" if status in {404, 410} else "storage"
        reason = f"the server answers {status} {response.reason_phrase}"
        raise _failed(source, reason, code=code, transient=status in _BUSY)


def _expect_rest(source: str, response: httpx.Response, offset: int, validator: Path) -> None:
    """Check that a partial answer continues `part`; remember which version it is of."""
    whole = response.status_code == 200
    if not whole and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        validator.unlink(missing_ok=True)
        raise _failed(source, "the server did not resume where we stopped", transient=True)
    # If-Range takes no weak tag.
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if whole:
        validator.unlink(missing_ok=True)
    if whole and mark:
        validator.write_text(mark, "utf-8")


def _receive(response: httpx.Response, part: Path, done: int, on_progress: OnProgress) -> None:
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    with part.open("ab" if done else "wb") as stream:
        for chunk in response.iter_raw():
            stream.write(chunk)
            done += len(chunk)
            on_progress(done, total)


def _unpack(archive: Path, folder: Path, limits: ArchiveLimits) -> None:
    ratio_bytes = int(limits.max_ratio * archive.stat().st_size)
    budget = min(limits.max_bytes, max(ratio_bytes, limits.ratio_free_bytes))
    n_members = n_bytes = n_audio = 0
    folder.mkdir()
    for member in _members(archive):
        n_members += 1
        n_bytes += max(member.size, 0)
        if n_members > limits.max_members or n_bytes > budget:
            rule = f"unpacks to more than {limits.max_members} members or {budget} bytes"
            message = f"{archive}: {rule}; unpack it by hand and give the folder"
            raise DatasetError(message, code="archive_too_big")
        name = _safe_name(archive, member.name)
        if _is_wanted(name) and member.kind != "folder":
            _extract(archive, member, folder / name)
            n_audio += name.suffix.lower() in AUDIO_SUFFIXES
    if not n_audio:
        suffixes = ", ".join(sorted(AUDIO_SUFFIXES))
        raise DatasetError(f"{archive}: holds no {suffixes} file", code="no_audio")
    summary = {"members": n_members, "bytes": n_bytes, "audio_files": n_audio}
    (folder / _COMPLETE).write_text(json.dumps(summary), "utf-8")


def _members(archive: Path) -> Iterator[_Member]:
    """Yield members in the order of the archive, before their bytes are unpacked."""
    with archive.open("rb") as stream:
        head = stream.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _zip_members(archive)
    elif head.startswith(b"\x1f\x8b"):
        with gzip.open(archive) as unzipped:
            yield from _tar_members(unzipped)
    elif head[257:262] == b"ustar":
        with archive.open("rb") as stream:
            yield from _tar_members(stream)
    else:
        start = head[:16].decode("ascii", "replace")
        message = f"{archive}: is no .tar.gz, .tgz, .tar or .zip: it starts with {start!r}"
        raise DatasetError(message, code="not_archive")


def _tar_members(stream: IO[bytes] | gzip.GzipFile) -> Iterator[_Member]:
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for info in tar:
            kind: Kind = "file" if info.isreg() else "folder" if info.isdir() else "other"
            yield _Member(info.name, info.size, kind, functools.partial(tar.extractfile, info))
        # gzip's checksum stands behind the padding, where tarfile does not read any more.
        for _ in range(64):
            if not stream.read(_CHUNK):
                return
    raise tarfile.ReadError("64 MiB follow the end of the archive")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as package:
        for info in package.infolist():
            locked = info.flag_bits & 1
            kind: Kind = "folder" if info.is_dir() else "other" if locked else "file"
            yield _Member(
                info.filename, info.file_size, kind, functools.partial(package.open, info)
            )


def _safe_name(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\\x00-\x1f]|^[A-Za-z]:", name):
        message = f"{archive}: the member {name!r} would lie outside the dataset's folder"
        raise DatasetError(message, code="unsafe_archive")
    return path


def _is_wanted(name: PurePosixPath) -> bool:
    if any(part.startswith((".", "__MACOSX")) for part in name.parts):
        return False
    text = name.name.lower()
    return name.suffix.lower() in AUDIO_SUFFIXES or text.startswith(_TEXTS)


def _extract(archive: Path, member: _Member, target: Path) -> None:
    stream = member.open() if member.kind == "file" else None
    if stream is None or target.exists():
        rule = "stands twice" if stream else "is a link, a device or encrypted"
        message = f"{archive}: the member {member.name!r} {rule}"
        raise DatasetError(message, code="unsafe_archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    with stream, target.open("xb") as output:
        shutil.copyfileobj(stream, output, _CHUNK)


def _settle(whole: Path, folder: Path) -> None:
    """Rename into place; another process may have been first with the same archive."""
    try:
        whole.rename(folder)
    except OSError:
        if not (folder / _COMPLETE).is_file():
            raise
