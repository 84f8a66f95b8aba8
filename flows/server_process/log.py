"""Log of a server process: passed on while it runs, and summed up when it ends."""

import contextlib
import re
import subprocess
import sys
from collections import deque
from threading import Lock, Thread
from typing import TextIO

_KEPT = 500
_REASON = re.compile(r"^(?:ERROR:\s+)?((?:\w+\.)*\w*(?:Error|Exception|Exit)): (.+)")
_LEVEL = re.compile(r"^(?:ERROR|CRITICAL|WARNING|INFO):\s+")
_DRIVER = re.compile(r"^\((?:\w+\.)+\w+\) ")
_LONG = 300


class ServerLog:
    """Reader of a server process's stderr.

    The output is held back until `pass_on`: a server that fails to start prints pages of
    traceback, of which `last_words` returns the useful line.

    Parameters
    ----------
    process
        Process that was started with ``stderr=subprocess.PIPE``.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._lock = Lock()
        self._stream: TextIO | None = None
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def pass_on(self, stream: TextIO | None = None) -> None:
        """Write the lines that were held back, and from now on every new line.

        Parameters
        ----------
        stream
            Where to; by default stderr.
        """
        with self._lock:
            self._stream = stream or sys.stderr
            self._stream.writelines(self._lines)
            self._stream.flush()

    def last_words(self) -> str:
        """Return why the server has ended, according to its log."""
        self._thread.join(timeout=5)
        with self._lock:
            return reason_in(list(self._lines))

    def _read(self) -> None:
        stream = self._process.stderr
        if stream is None:
            raise ValueError("the process was started without stderr=subprocess.PIPE")
        with stream:
            for line in stream:
                text = line.decode("utf-8", "replace")
                with self._lock:
                    self._lines.append(text)
                    if self._stream:
                        # On a full disk the log ends; a pipe that nobody reads would stop the
                        # server as well.
                        with contextlib.suppress(OSError):
                            self._stream.write(text)
                            self._stream.flush()


def reason_in(lines: list[str]) -> str:
    """Return the last exception in a log, without an uninformative class; else the last line.

    After a traceback, Prefect and uvicorn still print that they end.
    """
    for line in reversed(lines):
        if found := _REASON.match(line):
            return _DRIVER.sub("", found[2])[:_LONG].strip()
    said = [line.strip() for line in lines if line.strip()]
    return _LEVEL.sub("", said[-1])[:_LONG] if said else "it logged nothing"
