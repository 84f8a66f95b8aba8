"""The Prefect server that PREFECT_API_URL names, and what goes wrong between it and us."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from nst_core.errors import NSTError

CATALOG_DEPLOYMENT = "render-catalog/control"


class ServerError(NSTError):
    """A Prefect server that is not there, or that refuses what was asked of it."""


@contextmanager
def server(what: str = f"deployment {CATALOG_DEPLOYMENT}") -> Iterator[SyncPrefectClient]:
    """Yield a client of the server; say what is wrong where it does not do as it is told.

    Parameters
    ----------
    what
        Is asked for, as ``flow run ID``: a server that does not know it gets it named.

    Raises
    ------
    ServerError
        ``no_server`` where none is named: Prefect would start one that ends with this
        process. ``server_away`` where it does not answer or fails, ``not_found`` and
        ``refused`` for what it says.
    """
    url = get_current_settings().api.url
    if url is None:
        message = "no Prefect server is named; set PREFECT_API_URL, or start one by `amnst serve`"
        raise ServerError(message, code="no_server")
    try:
        with get_client(sync_client=True) as client:
            yield client
    except ObjectNotFound as error:
        message = f"{what} is not known to {url}; {_remedy(what)}"
        raise ServerError(message, code="not_found") from error
    except httpx.HTTPStatusError as error:
        said = f"{error.response.status_code} {error.response.text[:500]}"
        if error.response.is_server_error:
            raise ServerError(f"{url} fails: {said}; see its log", code="server_away") from error
        raise ServerError(f"{url} refused: {said}", code="refused") from error
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        message = f"{url} does not answer ({reason}); start it, or set PREFECT_API_URL"
        raise ServerError(message, code="server_away") from error


def _remedy(what: str) -> str:
    if what.startswith("deployment"):
        return "`amnst deploy` makes the deployments"
    if what.startswith("flow run"):
        return "compare the id with the one in the UI"
    return "see that PREFECT_API_URL ends with /api"
