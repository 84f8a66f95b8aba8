"""Signals and closed pipes: the first signal ends a command after it has written its report."""

import logging
import os
import signal
import sys
import time
from threading import Timer
from types import FrameType
from typing import Any

CONTINUE = "amnst: interrupted; run the same command to continue\n"
_AGAIN_S = 0.5
"""`timeout` and some terminals send one Ctrl-C twice; a person is not that fast."""
_ABANDON_S = 5.0
"""Time for a flow to end after its report; a transfer that is still running may take minutes."""

_received = signal.SIGINT
_received_at = 0.0
_words = "stopping; again to stop now"


def heed_ctrl_c() -> None:
    """Let the first Ctrl-C interrupt this process, and the second one end it at once."""
    signal.signal(signal.SIGINT, _interrupt)


def heed_sigterm() -> None:
    """Handle SIGTERM like Ctrl-C: systemd, containers, SLURM and `timeout` send it.

    So is SIGHUP, which the end of a terminal or of an SSH session sends, unless `nohup` has
    switched it off.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def say_on_interruption(words: str) -> None:
    """Set the line that the first Ctrl-C prints at once."""
    global _words  # noqa: PLW0603  # a signal handler has no other way to tell
    _words = words


def heeding_sigterm(flow: Any) -> Any:
    """Return a copy of a flow that leaves SIGTERM to our handler.

    While a flow runs, Prefect installs its own handler, which obeys every signal. `timeout` sends
    two signals, and the second would prevent the report that the first one asks for.
    """

    def heed_sigterm_again(*_: object) -> None:
        if not _received_at:
            heed_sigterm()

    return flow.with_options(on_running=[heed_sigterm_again])


def is_interrupted() -> bool:
    """Return whether this process has been asked to stop."""
    return _received_at > 0


def end_soon() -> None:
    """End an interrupted process soon, even if a transfer is still running.

    A thread in TensorFlow cannot be stopped, and Python waits for it. The temporary server notices
    the end of this process and ends as well.
    """
    abandon = Timer(_ABANDON_S, _end)
    abandon.daemon = True
    abandon.start()


def leave_stdout() -> None:
    """Send the rest of stdout nowhere, because nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def exit_code() -> int:
    """Return the exit code of an interrupted command: 130, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + _received


def _end() -> None:
    sys.stderr.flush()
    os.write(2, CONTINUE.encode())
    os._exit(exit_code())


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Obey the first signal; a second Ctrl-C, but no other signal, ends the process at once."""
    global _received, _received_at  # see `say_on_interruption`
    if _received_at:
        if number == signal.SIGINT and time.monotonic() - _received_at > _AGAIN_S:
            _end()
        return
    _received, _received_at = signal.Signals(number), time.monotonic()
    os.write(2, f"\n{_words}\n".encode())  # a signal handler must not use a buffered stream
    # Running threads may outlive the server that they log to; hide the resulting errors.
    logging.raiseExceptions = False
    raise KeyboardInterrupt
