"""Download a genre dataset: an archive or a folder becomes a verified local folder.

Only a source that the user names is downloaded. `pooch` would restart an interrupted download
from the first byte; a dataset of gigabytes has to be resumed.
"""

import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from prefect import task
from prefect.cache_policies import NO_CACHE

from nst_core.errors import DatasetError
from tasks.running.retry import RETRIES
from tasks.storage.credentials import refuse_login, scrub
from tasks.storage.errors import StorageError, reported
from tasks.storage.files import describe, fetch_input, sha256_file
from tasks.storage.uris import is_remote, local
from tasks.storage.web import download_web
from tasks.unpack import ArchiveLimits, is_unpacked, unpack_archive

logger = logging.getLogger(__name__)

LIMITS = ArchiveLimits()
"""Limits of a dataset's archive; what may not be unpacked is not downloaded either."""

Check: TypeAlias = Callable[[Path], object]


@task(name="download-dataset", cache_policy=NO_CACHE, **RETRIES)
def download_dataset(source: str, scratch: str, sha256: str | None = None) -> str:
    """Run `fetch_dataset` as a Prefect task; the unpacked folder is its own cache."""
    return str(fetch_dataset(source, Path(scratch), sha256=sha256))


def fetch_dataset(source: str, scratch: Path, *, sha256: str | None = None) -> Path:
    """Return the local folder of a dataset, fetched and unpacked at most once.

    Parameters
    ----------
    source
        Folder (used in place), or archive: path, ``file://``, ``s3://``, ``https://``.
    scratch
        Folder for downloads and unpacked datasets.
    sha256
        Expected SHA-256 of the archive; required for ``http://``.

    Raises
    ------
    ConfigError
        ``login_in_place``
    DatasetError
        The source is missing, does not match `sha256`, or cannot be unpacked safely.
    StorageError
        A server or disk fails.
    """
    refuse_login("the dataset's path", source)
    if "://" not in source and Path(source).is_dir():
        return Path(source).absolute()
    unpacked = scratch / "unpacked"  # earlier versions used "datasets", with fewer sound formats
    if sha256 and is_unpacked(unpacked / sha256.lower()):
        return unpacked / sha256.lower()
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    destination = scratch / "downloads" / name

    def unpack(archive: Path) -> Path:
        return unpack_archive(archive, unpacked / sha256_file(archive), LIMITS)

    return unpack(download_archive(source, destination, sha256=sha256, check=unpack))


def download_archive(
    source: str, destination: Path, *, sha256: str | None = None, check: Check = lambda _: None
) -> Path:
    """Return a local, verified archive; an interrupted ``http(s)`` download is resumed.

    A local archive is used in place. Any other archive appears at `destination` only when it is
    complete, has the sha256 and passes `check`. An existing file that passes is not downloaded
    again; one that does not pass is.

    Parameters
    ----------
    check
        Called with the path of the whole file; raises DatasetError for one that cannot be used.
    """
    if re.match(r"https?://", source):
        return _download(source, destination, download_web, sha256, check)
    if is_remote(source):
        return _download(source, destination, _s3, sha256, check)
    path = local(source)
    if not path.is_file():
        raise DatasetError(f"dataset {source} does not exist", code="dataset_not_found")
    _verify(source, path, sha256)
    return path


def _download(
    source: str,
    destination: Path,
    get: Callable[[str, Path, int], None],
    sha256: str | None,
    check: Check,
) -> Path:
    if destination.is_file() and _passes(source, destination, sha256, check):
        return destination
    if source.startswith("http://") and not sha256:
        message = f"{scrub(source)}: plain http can be tampered with; pass the sha256 or use https"
        raise DatasetError(message, code="insecure_source")
    part = destination.with_name(f"{destination.name}.part")
    with reported(str(destination), "write"):
        destination.parent.mkdir(parents=True, exist_ok=True)
    get(source, part, LIMITS.max_bytes)
    try:
        _verify(source, part, sha256)
        check(part)
    except DatasetError:
        # Resuming after wrong bytes would fail again.
        part.unlink()
        raise
    with reported(str(destination), "write"):
        part.replace(destination)
    return destination


def _passes(source: str, kept: Path, sha256: str | None, check: Check) -> bool:
    """Return whether an earlier download can be used; remove it if not."""
    try:
        _verify(source, kept, sha256)
        check(kept)
    except DatasetError as error:
        logger.warning("downloading it again: %s", error)
        kept.unlink()
        return False
    return True


def _verify(source: str, path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = sha256_file(path)
    if found != sha256.lower():
        message = f"{scrub(source)}: sha256 is {found}, but {sha256} was expected; check the source"
        raise DatasetError(message, code="sha256_mismatch")


def _s3(source: str, part: Path, at_most: int) -> None:
    found = describe(source)
    if found and found.size > at_most:
        reason = f"it has more than {at_most} bytes; unpack it yourself and pass the folder"
        raise StorageError(source, "download", reason, code="archive_too_big")
    with fetch_input(source, part.parent) as path:
        path.replace(part)
