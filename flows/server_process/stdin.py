"""End a process together with the one that started it, even if that one is killed."""

import os
import threading
import time
from collections.abc import Callable


def end_when_stdin_closes(stop: Callable[[], object], *, grace_s: float = 20.0) -> None:
    """Stop this process when its stdin is closed.

    The process that started this one has the other end of the pipe, which also closes on
    ``kill -9``.

    Parameters
    ----------
    stop
        Asks this process to end; called by a thread.
    grace_s
        Seconds for a run's last messages to the server, which may have ended as well. Afterwards
        the process ends at once.
    """
    threading.Thread(target=_wait, args=[stop, grace_s], daemon=True).start()


def _wait(stop: Callable[[], object], grace_s: float) -> None:
    # Do not use sys.stdin: Python aborts at exit if a thread is still reading it.
    while os.read(0, 1024):
        pass
    stop()
    time.sleep(grace_s)
    os._exit(1)
