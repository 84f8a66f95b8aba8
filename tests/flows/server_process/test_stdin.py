"""A process that ends when its stdin is closed."""

import subprocess
import sys
from contextlib import ExitStack

import pytest


@pytest.fixture
def start():
    """Start a process that calls `end_when_stdin_closes` and then runs some code."""
    started = ExitStack()

    def run(call, then):
        code = (
            "import sys, threading, time\n"
            "from flows.server_process.stdin import end_when_stdin_closes"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", f"{code}\n{call}\n{then}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.enter_context(process)
        started.callback(process.kill)
        return process

    with started:
        yield run


def test_a_process_that_ends_by_itself_while_stdin_is_open_ends_in_order(start):
    process = start("end_when_stdin_closes(print)", "time.sleep(0.5)")
    assert process.wait(120) == 0, process.stderr.read()
    assert process.stderr.read() == b""


def test_a_process_is_asked_to_end_when_stdin_is_closed(start):
    call = "stop = threading.Event()\nend_when_stdin_closes(stop.set)"
    process = start(call, "print('reads', flush=True)\nstop.wait()\nsys.exit(7)")
    process.stdout.readline()
    assert process.poll() is None
    process.stdin.write(b"whatever")
    process.stdin.close()
    assert process.wait(120) == 7


def test_a_process_that_ignores_the_request_ends_anyway(start):
    process = start("end_when_stdin_closes(print, grace_s=0.1)", "time.sleep(600)")
    process.stdin.close()
    assert process.wait(120) == 1
