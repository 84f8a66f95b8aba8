"""Download a genre dataset: an archive or a folder becomes a verified local folder.

Only a source that the user names is downloaded. `pooch` would restart an interrupted download
from the first byte; a dataset of gigabytes has to be resumed.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE

from nst_core.errors import DatasetError
from tasks.running.retry import RETRIES
from tasks.storage.credentials import refuse_login, scrub
from tasks.storage.errors import StorageError, reported
from tasks.storage.files import fetch_input, sha256_file
from tasks.storage.uris import is_remote, local
from tasks.unpack import ArchiveLimits, is_unpacked, unpack_archive

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


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
    archive = download_archive(source, destination, sha256=sha256)
    return unpack_archive(archive, unpacked / sha256_file(archive), ArchiveLimits())


def download_archive(source: str, destination: Path, *, sha256: str | None = None) -> Path:
    """Return a local, verified archive; an interrupted ``http(s)`` download is resumed.

    A local archive is used in place. Any other archive appears at `destination` only when it is
    complete and has the sha256. An existing file is not downloaded again.
    """
    if re.match(r"https?://", source):
        return _download(source, destination, _web, sha256)
    if is_remote(source):
        return _download(source, destination, _s3, sha256)
    path = local(source)
    if not path.is_file():
        raise DatasetError(f"dataset {source} does not exist", code="dataset_not_found")
    _verify(source, path, sha256)
    return path


def _download(
    source: str, destination: Path, get: Callable[[str, Path], None], sha256: str | None
) -> Path:
    if destination.is_file() and (not sha256 or sha256.lower() == sha256_file(destination)):
        return destination
    if source.startswith("http://") and not sha256:
        message = f"{scrub(source)}: plain http can be tampered with; pass the sha256 or use https"
        raise DatasetError(message, code="insecure_source")
    part = destination.with_name(f"{destination.name}.part")
    with reported(str(destination), "write"):
        destination.parent.mkdir(parents=True, exist_ok=True)
    get(source, part)
    try:
        _verify(source, part, sha256)
    except DatasetError:
        # Resuming after wrong bytes would fail again.
        part.unlink()
        raise
    with reported(str(destination), "write"):
        part.replace(destination)
    return destination


def _verify(source: str, path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = sha256_file(path)
    if found != sha256.lower():
        message = f"{scrub(source)}: sha256 is {found}, but {sha256} was expected; check the source"
        raise DatasetError(message, code="sha256_mismatch")


def _s3(source: str, part: Path) -> None:
    with fetch_input(source, part.parent) as path:
        path.replace(part)


def _web(source: str, part: Path) -> None:
    """Download the missing rest of `part`; if the server's file has changed, all of it."""
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
            is_rest = offset and response.status_code == 206
            with part.open("ab" if is_rest else "wb") as stream:
                for chunk in response.iter_raw():
                    stream.write(chunk)
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
        raise _failed(source, f"it redirects to {response.url.scheme}://, without encryption")
    if status not in {200, 206, 416}:
        code = "not_found" if status in {404, 410} else "storage"
        reason = f"the server answers {status} {response.reason_phrase}"
        raise _failed(source, reason, code=code, transient=status in _BUSY)


def _expect_rest(source: str, response: httpx.Response, offset: int, validator: Path) -> None:
    """Check that a partial answer continues `part`; remember the version of the file."""
    whole = response.status_code == 200
    if not whole and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        validator.unlink(missing_ok=True)
        raise _failed(source, "the server did not resume where we stopped", transient=True)
    # If-Range does not accept weak tags.
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if whole:
        validator.unlink(missing_ok=True)
    if whole and mark:
        validator.write_text(mark, "utf-8")
