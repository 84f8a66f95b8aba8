"""Server of a command that runs its flow itself: a temporary server, unless one is named."""

import os
from collections.abc import Callable

from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from flows.server.contact import first_contact
from flows.server.home import prefect_home
from flows.server_process.temporary import TemporaryServer


def own_server(*, verbose: bool) -> Callable[[], None]:
    """Start a temporary server unless one is named, and point Prefect's client at it.

    Returns
    -------
    Function that waits until the server is ready, or raises if the server cannot be used. Until
    it is called, this process can do its own imports.
    """
    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return first_contact
    server = TemporaryServer(prefect_home(), verbose=verbose)
    os.environ.update(server.environment)
    refresh_global_settings_context()
    return server.wait
