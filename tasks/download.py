"""A genre dataset's archive, or a folder, becomes a verified local folder.

Nothing is downloaded without being asked for: the user names the source.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE

from nst_core.errors import DatasetError
from tasks.files import StorageError, fetch_input, is_remote, local, reported, scrub, sha256_file
from tasks.retry import RETRIES
from tasks.unpack import ArchiveLimits, is_unpacked, unpack_archive

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@task(name="download-dataset", cache_policy=NO_CACHE, **RETRIES)
def download_dataset(source: str, scratch: str, sha256: str | None = None) -> str:
    """Prefect task around `fetch_dataset`: the unpacked folder is its own cache."""
    return str(fetch_dataset(source, Path(scratch), sha256=sha256))


def fetch_dataset(source: str, scratch: Path, *, sha256: str | None = None) -> Path:
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
    if sha256 and is_unpacked(unpacked / sha256.lower()):
        return unpacked / sha256.lower()
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    destination = scratch / "downloads" / name
    archive = download_archive(source, destination, sha256=sha256)
    return unpack_archive(archive, unpacked / sha256_file(archive), ArchiveLimits())


def download_archive(source: str, destination: Path, *, sha256: str | None = None) -> Path:
    """Return a local, verified archive; an interrupted ``http(s)`` download is resumed.

    A local archive is used in place. Anything else appears at `destination` when it is
    whole and has the sha256, never before; a file that is there already is not fetched again.
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
        message = f"{scrub(source)}: plain http can be tampered with; give the sha256 or use https"
        raise DatasetError(message, code="insecure_source")
    part = destination.with_name(f"{destination.name}.part")
    with reported(str(destination), "write"):
        destination.parent.mkdir(parents=True, exist_ok=True)
    get(source, part)
    try:
        _verify(source, part, sha256)
    except DatasetError:
        # Resuming wrong bytes would end in the same place.
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
        message = f"{scrub(source)}: sha256 is {found}, {sha256} was asked for; check the source"
        raise DatasetError(message, code="sha256_mismatch")


def _s3(source: str, part: Path) -> None:
    with fetch_input(source, part.parent) as path:
        path.replace(part)


def _web(source: str, part: Path) -> None:
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
