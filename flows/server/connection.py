"""Connection to the Prefect server that PREFECT_API_URL names, and its errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from nst_core.errors import NSTError
from tasks.storage.credentials import scrub

CATALOG_DEPLOYMENT = "render-catalog/render-manifest"
_UNAUTHORIZED = 401


class Remedy(Enum):
    """Advice for an object that a server does not know."""

    DEPLOY = "`amnst deploy` creates the deployments"
    RUN_ID = "compare the id with the one in the UI"
    API = "check that PREFECT_API_URL ends with /api"


class ServerError(NSTError):
    """Error of a Prefect server that cannot be reached or refuses a request."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(scrub(message), code=code)  # a server's URL may contain a login


@contextmanager
def server(
    what: str = f"deployment {CATALOG_DEPLOYMENT}", remedy: Remedy = Remedy.DEPLOY
) -> Iterator[SyncPrefectClient]:
    """Yield a client of the server, and turn its failures into errors that name the cause.

    Parameters
    ----------
    what
        Name of the requested object, such as ``flow run ID``, for the error ``not_found``.
    remedy
        Advice in that error.

    Raises
    ------
    ServerError
        ``no_server`` if no server is named: Prefect would start one that ends with this
        process. Other codes as in `say_what_is_wrong`.
    """
    with say_what_is_wrong(server_url(), what, remedy), get_client(sync_client=True) as client:
        yield client


def server_url() -> str:
    """Return the server's address; raise ServerError ``no_server`` if none is named."""
    url = get_current_settings().api.url
    if url is None:
        message = "no Prefect server is named; set PREFECT_API_URL, or start one with `amnst serve`"
        raise ServerError(message, code="no_server")
    return url


@contextmanager
def say_what_is_wrong(url: str, what: str, remedy: Remedy) -> Iterator[None]:
    """Turn errors of Prefect's client into errors that a person can act on.

    Raises
    ------
    ServerError
        ``server_away`` if the server does not answer or fails, ``bad_url`` for an invalid
        address, and ``not_found``, ``unauthorized`` or ``refused`` according to its answer.
    """
    try:
        yield
    except ObjectNotFound as error:
        message = f"{what} is unknown to {url}; {remedy.value}"
        raise ServerError(message, code="not_found") from error
    except httpx.HTTPStatusError as error:
        said = f"{error.response.status_code} {error.response.text[:500]}".strip()
        if error.response.is_server_error:
            raise ServerError(f"{url} fails: {said}; see its log", code="server_away") from error
        if error.response.status_code == _UNAUTHORIZED:
            raise ServerError(f"{url} {_LOGIN}", code="unauthorized") from error
        raise ServerError(f"{url} refused: {said}", code="refused") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        message = f"{url} is not a valid address ({error}); {_source()}, for example "
        message += "http://127.0.0.1:4200/api"
        raise ServerError(message, code="bad_url") from error
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        message = f"{url} does not answer ({reason}); start it, or {_source()}"
        raise ServerError(message, code="server_away") from error


_LOGIN = (
    "refuses the login (401). The login of `amnst serve` is found automatically by the same user "
    "with the same PREFECT_HOME on its machine; otherwise set PREFECT_API_AUTH_STRING to it"
)


def _source() -> str:
    """Return advice about the setting that contains the address."""
    if "PREFECT_API_URL" in os.environ:
        return "set PREFECT_API_URL"
    profiles = get_current_settings().profiles_path
    return f"set PREFECT_API_URL, which overrides the profile in {profiles}"
