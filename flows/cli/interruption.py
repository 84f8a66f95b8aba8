"""Signals and closed pipes: the first signal ends a command after it has written its report."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from threading import Timer
from types import FrameType
from typing import Any

CONTINUE = "amnst: interrupted; run the same command to continue\n"
_AGAIN_S = 0.5
"""`timeout` and some terminals send one Ctrl-C twice; a person is not that fast."""
_REPEAT_S = 0.05
_ABANDON_S = 5.0
"""Time for a flow to end after its report; a transfer that is still running may take minutes."""

_received = signal.SIGINT
_received_at = 0.0
_words = "stopping; again to stop now"


def heed_signals() -> None:
    """Let the first Ctrl-C, SIGTERM or SIGHUP interrupt this process, and a second Ctrl-C end it.

    systemd, containers, SLURM and `timeout` send SIGTERM. The end of a terminal or of an SSH
    session sends SIGHUP, unless `nohup` has switched it off.
    """
    signal.signal(signal.SIGINT, _interrupt)
    _heed_sigterm()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    if not isinstance(sys.unraisablehook, _InterruptAgain):
        sys.unraisablehook = _InterruptAgain(sys.unraisablehook)


def ignore_signals() -> None:
    """Ignore all signals from now on: the command has done its work and is about to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def interruptible(command: Callable[[], int]) -> int:
    """Run a command; return its exit code, or that of the signal that has interrupted it.

    Libraries turn an interruption into other errors: a class whose definition it stops raises
    RuntimeError, a group of asynchronous tasks raises BaseExceptionGroup, and some C extensions
    raise ImportError. What an interrupted command raises is therefore no news to its user.
    """
    try:
        code = command()
    except BaseException:
        if not is_interrupted():
            raise
        code = 1
    if not code or not is_interrupted():
        return code
    if code != exit_code():  # else the command has said itself what remains to be done
        sys.stderr.write(CONTINUE)
    return exit_code()


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
            _heed_sigterm()

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


def _heed_sigterm() -> None:
    signal.signal(signal.SIGTERM, _interrupt)


class _InterruptAgain:
    """Hook for errors that Python ignores; it repeats an interruption that was ignored.

    Python ignores what the callback of a weak reference raises, and every import runs one.

    Parameters
    ----------
    others
        Hook for all other errors.
    """

    def __init__(self, others: Callable[[Any], object]) -> None:
        self._others = others

    def __call__(self, ignored: Any) -> None:
        if _received_at and ignored.exc_type is KeyboardInterrupt:
            # Not at once: this hook still runs where errors are ignored.
            signal.signal(signal.SIGALRM, _raise)
            signal.setitimer(signal.ITIMER_REAL, _REPEAT_S)
        else:
            self._others(ignored)


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


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
