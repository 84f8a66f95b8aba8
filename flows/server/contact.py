"""First contact of a command with its server.

Checks that the server answers, is a Prefect server and accepts our login.
"""

import json
import os
import re
import sys
from threading import Timer

import httpx
import prefect
from prefect.client.orchestration import get_client
from prefect.context import refresh_global_settings_context
from prefect.settings import (
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_CLOUD_API_URL,
    get_current_settings,
    temporary_settings,
)

from flows.server.connection import Remedy, ServerError, say_what_is_wrong, server_url
from flows.server.home import prefect_home
from flows.server.login import log_in, served_at

_PATIENCE = httpx.Timeout(15, connect=2)
"""Timeouts of one attempt: connecting is tried four times, and a busy server answers late."""
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def first_contact(*, patience: httpx.Timeout = _PATIENCE, long_s: float = 4.0) -> None:
    """Ask the server for its version, once and with a short timeout.

    It is the server that PREFECT_API_URL or a profile names, else that of `amnst serve` on this
    machine. Prefect's own client takes minutes to report that a server is unreachable.

    Parameters
    ----------
    patience
        Timeouts for a connection and for an answer.
    long_s
        Seconds after which a message on stderr says that we wait for the server.

    Raises
    ------
    ServerError
        ``no_server``, ``server_away``, ``refused``, ``unauthorized``, ``not_prefect`` or
        ``other_version``.
    """
    find_server()
    url = server_url()
    if url.startswith(PREFECT_CLOUD_API_URL.value()):
        return  # it reports no version and accepts every client
    told = Timer(long_s, lambda: sys.stderr.write(f"waiting for the Prefect server {url}\n"))
    told.daemon = True
    told.start()
    try:
        _check_version(url, _version_text(url, patience))
    finally:
        told.cancel()


def find_server() -> bool:
    """Return whether there is a server to ask; if none is named, look for that of `amnst serve`.

    A server that is found is named for the rest of this process, with its login.
    """
    if get_current_settings().api.url is None and (served := served_at(prefect_home())):
        os.environ["PREFECT_API_URL"] = f"{served}/api"
        log_in(os.environ, prefect_home())
        refresh_global_settings_context()
    return get_current_settings().api.url is not None


def _version_text(url: str, patience: httpx.Timeout) -> str:
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        say_what_is_wrong(url, "the API", Remedy.API),
        get_client(httpx_settings={"timeout": patience}, sync_client=True) as client,
    ):
        try:
            return client.request("GET", "/admin/version").text
        except httpx.HTTPStatusError as error:
            if error.response.status_code in {404, 405, 410}:
                raise _not_prefect(url) from error
            raise


def _check_version(url: str, text: str) -> None:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    theirs = _VERSION.match(answer) if isinstance(answer, str) else None
    ours = _VERSION.match(prefect.__version__)
    if theirs is None or ours is None:
        raise _not_prefect(url)
    if theirs[1] != ours[1]:
        raise ServerError(
            f"{url} is Prefect {answer}, but this is Prefect {prefect.__version__}: their first "
            "numbers must agree; install the server's version here, or set PREFECT_API_URL to "
            "another server",
            code="other_version",
        )
    if [int(part) for part in theirs.groups()] < [int(part) for part in ours.groups()]:
        sys.stderr.write(
            f"amnst: {url} is Prefect {answer}, older than this Prefect {prefect.__version__}, "
            "and may refuse newer requests; update the server [older_server]\n"
        )


def _not_prefect(url: str) -> ServerError:
    way_out = "it ends with /api" if not url.rstrip("/").endswith("/api") else "host and port"
    return ServerError(
        f"{url} is not the API of a Prefect server; check PREFECT_API_URL: {way_out}",
        code="not_prefect",
    )
