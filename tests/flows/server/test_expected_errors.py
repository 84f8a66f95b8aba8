"""Errors in the log of a run: a line for a bad file, a traceback for an error of the code."""

import logging

import pytest
from prefect import flow, task

from flows.server.expected_errors import leave_tracebacks_out
from nst_core.errors import AudioError

NEEDED = AudioError("not_found", "gone.wav", "does not exist")


@task(name="bad")
def _bad(error):
    raise error


@flow(name="bad-flow")
def _bad_flow(error):
    leave_tracebacks_out()
    _bad(error, return_state=True)
    raise error


@pytest.fixture
def logged():
    """Records of the tasks and flows of this test."""
    records, handler = [], logging.Handler()
    handler.emit = records.append
    loggers = [logging.getLogger(f"prefect.{kind}_runs") for kind in ("task", "flow")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


def test_a_bad_file_is_a_line_without_a_traceback(prefect, logged):
    _bad_flow(NEEDED, return_state=True)
    said = [record for record in logged if "gone.wav" in record.getMessage()]
    lines = [record.getMessage() for record in said if record.levelno == logging.ERROR]
    assert f"{NEEDED} [not_found]" in lines
    assert [record.exc_info for record in logged if record.exc_info] == []


def test_an_error_of_the_code_keeps_its_traceback(prefect, logged):
    _bad_flow(LookupError("a bug"), return_state=True)
    assert [type(r.exc_info[1]) for r in logged if r.exc_info] == [LookupError] * 2
