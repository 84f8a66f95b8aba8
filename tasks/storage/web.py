"""Download a file over http(s): resumed, checked by what the server says, and within limits."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import httpx

from tasks.storage.errors import StorageError, reported

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_PAGES = ("text/html", "application/xhtml")


def download_web(source: str, part: Path, at_most: int) -> None:
    """Download the missing rest of `part`; if the server's file has changed, all of it.

    Whoever controls the server controls the bytes, so redirects without encryption or to a private
    address of another host are refused before they are followed.

    Raises
    ------
    StorageError
        ``web_page`` for a page in place of a file, ``archive_too_big`` for more than `at_most`
        bytes, ``detour`` for a refused redirect, ``not_found``, or ``storage``.
    """
    validator = part.with_name(f"{part.name}.validator")
    offset = part.stat().st_size if part.is_file() and validator.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator.read_text("utf-8")}
    try:
        with (
            reported(str(part), "write"),
            httpx.Client(
                follow_redirects=True,
                timeout=httpx.Timeout(30, connect=10),
                event_hooks={"request": [partial(_refuse_detour, source)]},
            ) as client,
            client.stream("GET", source, headers=headers) as response,
        ):
            _expect_file(source, response)
            total = _expect_rest(source, response, offset, validator)
            is_rest = response.status_code == 206 and offset
            if (total or 0) > at_most:
                raise _too_big(source, at_most)
            with part.open("ab" if is_rest else "wb") as stream:
                n_bytes = stream.tell()
                for chunk in response.iter_raw():
                    n_bytes += len(chunk)
                    if n_bytes > at_most:
                        raise _too_big(source, at_most)
                    stream.write(chunk)
    except StorageError as error:
        if error.code == "archive_too_big":
            _forget(part, validator)
        raise
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise _failed(source, reason, transient=True) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(source, str(error)) from error
    if total is not None and n_bytes != total:
        _forget(part, validator)
        reason = f"{n_bytes} bytes came, but the server's file has {total}"
        raise _failed(source, reason, transient=True)
    validator.unlink(missing_ok=True)


def _forget(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _failed(
    source: str, reason: str, *, code: str = "storage", transient: bool = False
) -> StorageError:
    return StorageError(source, "download", reason, code=code, transient=transient)


def _too_big(source: str, at_most: int) -> StorageError:
    reason = f"it has more than {at_most} bytes; unpack it yourself and pass the folder"
    return _failed(source, reason, code="archive_too_big")


def _refuse_detour(source: str, request: httpx.Request) -> None:
    """Check the place of each request, the first one and those of redirects."""
    start, goal = httpx.URL(source), request.url
    if start.scheme == "https" and goal.scheme != "https":
        reason = f"it redirects to {goal.scheme}://, without encryption"
        raise _failed(source, reason, code="detour")
    # The user names the first host, and may mean a server of the own network.
    if goal.host != start.host and _is_private(goal.host):
        reason = (
            f"it redirects to {goal.host}, a private address; if that is where the file is, pass "
            "that address"
        )
        raise _failed(source, reason, code="detour")


def _is_private(host: str) -> bool:
    """Return whether a host is, or may be, on this machine or in its network."""
    return any(not _is_public(address) for address in _addresses(host))


def _addresses(host: str) -> Iterable[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return ()  # unknown here; behind a proxy, the proxy looks it up


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return (getattr(ip, "ipv4_mapped", None) or ip).is_global


def _expect_file(source: str, response: httpx.Response) -> None:
    status = response.status_code
    if status not in {200, 206, 416}:
        code = "not_found" if status in {404, 410} else "storage"
        reason = f"the server answers {status} {response.reason_phrase}"
        raise _failed(source, reason, code=code, transient=status in _BUSY)
    kind = response.headers.get("Content-Type", "").lower()
    if status != 416 and kind.startswith(_PAGES):
        reason = (
            f"the server answers with a web page ({kind.partition(';')[0]}), not with a file; "
            "perhaps you must log in there: download it yourself and pass the path"
        )
        raise _failed(source, reason, code="web_page")


def _expect_rest(source: str, response: httpx.Response, offset: int, validator: Path) -> int | None:
    """Check that a partial answer continues `part`; remember the version of the file.

    Returns
    -------
    Bytes of the whole file; None if the server does not say.
    """
    whole = response.status_code == 200
    stated = response.headers.get("Content-Range", "")
    if not whole and not stated.startswith(f"bytes {offset}-"):
        validator.unlink(missing_ok=True)
        raise _failed(source, "the server did not resume where we stopped", transient=True)
    # If-Range does not accept weak tags.
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if whole:
        validator.unlink(missing_ok=True)
    if whole and mark:
        validator.write_text(mark, "utf-8")
    size = response.headers.get("Content-Length", "") if whole else stated.rpartition("/")[2]
    return int(size) if re.fullmatch(r"[0-9]{1,18}", size) else None
