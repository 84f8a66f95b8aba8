"""Prefect's own environment, set before Prefect is imported."""

import os

from flows.server.home import prefect_home, private_prefect_home
from flows.server.login import log_in

__all__ = ["prefect_home", "prepare_prefect", "refuse_pickles"]

_QUIET, _LOUD = "CRITICAL", "INFO"


def prepare_prefect(*, verbose: bool, patient: bool = True) -> None:
    """Set the variables that the user has not set, and make Prefect's folder private.

    Parameters
    ----------
    verbose
        Show Prefect's log on the terminal as well as in its UI.
    patient
        Keep trying for a minute or two if the server is unreachable, for work that has begun.
        A command that only asks for something fails sooner.

    Raises
    ------
    HomeError
        ``bad_home`` if that folder cannot be used.
    """
    defaults = {
        "PREFECT_HOME": str(prefect_home()),
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",  # only persisted results are cached
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # receipts only, which cannot run code
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",  # telemetry of the client, which prints a notice at the first run
        "PREFECT_LOGGING_EXTRA_LOGGERS": "nst_core,tasks,flows",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # they also log outside of flows
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": _LOUD if verbose else _QUIET,
    }
    if not patient:
        defaults |= {
            "PREFECT_CLIENT_MAX_RETRIES": "2",
            "PREFECT_API_REQUEST_TIMEOUT": "20",
        }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    log_in(os.environ, private_prefect_home())


def refuse_pickles() -> None:
    """Prevent stored results from running code, whether they are pickles or JSON."""
    from flows.server.stored_results import read_as_data  # noqa: PLC0415  # see above

    read_as_data()
