"""Signals and closed pipes: the first signal ends a command after it has written its report."""

import logging
import os
import signal
import sys
from types import FrameType
from typing import Any

_received = signal.SIGINT


def heed_ctrl_c() -> None:
    """Let the first Ctrl-C interrupt this process."""
    signal.signal(signal.SIGINT, _interrupt_once)


def heed_sigterm() -> None:
    """Handle SIGTERM like Ctrl-C: systemd, containers, SLURM and `timeout` send it.

    So is SIGHUP, which the end of a terminal or of an SSH session sends, unless `nohup` has
    switched it off.
    """
    signal.signal(signal.SIGTERM, _interrupt_once)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt_once)


def heeding_sigterm(flow: Any) -> Any:
    """Return a copy of a flow that leaves SIGTERM to our handler.

    While a flow runs, Prefect installs its own handler, which obeys every signal. `timeout` sends
    two signals, and the second would prevent the report that the first one asks for.
    """

    def heed_sigterm_again(*_: object) -> None:
        heed_sigterm()

    return flow.with_options(on_running=[heed_sigterm_again])


def leave_stdout() -> None:
    """Send the rest of stdout nowhere, because nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def exit_code() -> int:
    """Return the exit code of an interrupted command: 130, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + _received


def _interrupt_once(number: int, _frame: FrameType | None) -> None:
    """Obey the first signal only: a second one must not stop us from writing the report."""
    global _received  # noqa: PLW0603  # a signal handler has no other way to tell
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    _received = signal.Signals(number)
    # Running threads may outlive the server that they log to; hide the resulting errors.
    logging.raiseExceptions = False
    raise KeyboardInterrupt
