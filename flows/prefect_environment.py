"""Prefect's own environment, set before Prefect is imported."""

import os
import signal

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
        "DO_NOT_TRACK": "1",  # the client's own, which a terminal is told of at the first run
        "PREFECT_LOGGING_EXTRA_LOGGERS": "nst_core,tasks,flows",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # they also log where no flow runs
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING" if verbose else _QUIET,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": _LOUD if verbose else _QUIET,
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def start_server() -> None:
    """Start Prefect's own server, unless the user has named one, deaf to Ctrl-C.

    A terminal sends Ctrl-C to all processes of a command. A flow whose server is gone
    tries for a minute to tell it of the interruption.
    """
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415  # see above
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it
    try:
        SubprocessASGIServer().start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def refuse_pickles() -> None:
    """Let no stored result run code, be it a pickle or JSON."""
    from flows.stored_results import read_as_data  # noqa: PLC0415  # see above

    read_as_data()
