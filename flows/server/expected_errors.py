"""Expected errors, such as a bad file, in the log of a run: a line without a traceback."""

import logging

from nst_core.errors import NSTError

_LOGGERS = ("prefect.task_runs", "prefect.flow_runs")


def leave_tracebacks_out() -> None:
    """Log our own errors of tasks and flows as one line; other errors keep their traceback.

    Our errors name file or row, value and rule, so a traceback says nothing more to an operator.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_in_a_line)  # a second time does nothing


def _in_a_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, NSTError):
        record.msg, record.args = f"{error} [{error.code}]", ()
        record.exc_info = record.exc_text = None
    return True
