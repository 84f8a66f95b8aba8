"""Programs that `amnst serve` starts, and that end with it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

_GRACE_S = 20.0
"""Time for a run to send its last messages to the server."""


def start(
    command: Sequence[str], environment: Mapping[str, str], log: TextIO
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, so that Ctrl-C in a terminal reaches only us.

    Its stdin is a pipe. The other end closes when we end, even by SIGKILL, and a program with
    ``--end-with-stdin`` then ends as well. Its output goes to `log`.
    """
    return subprocess.Popen(  # noqa: S603  # our own arguments
        command,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=log.fileno(),
        stderr=log.fileno(),
        start_new_session=True,
    )


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and kill the process groups of those that do not."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    give_up = time.monotonic() + _GRACE_S
    for process in processes:
        try:
            process.wait(max(0.0, give_up - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin:
            process.stdin.close()
