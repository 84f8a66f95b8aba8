"""Prefect's own environment, set before Prefect is imported."""

import os

_QUIET, _LOUD = "CRITICAL", "INFO"


def prepare_prefect(*, verbose: bool) -> None:
    """Set what the user has not set.

    Parameters
    ----------
    verbose
        Show Prefect's log on the terminal, and not only in its UI.
    """
    defaults = {
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # 20 s are few on a busy machine
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",  # what is not persisted cannot be cached
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # receipts only, and nothing that runs code
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "nst_core,tasks,flows",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING" if verbose else _QUIET,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": _LOUD if verbose else _QUIET,
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
