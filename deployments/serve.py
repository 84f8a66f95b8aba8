"""`amnst serve`: keep the workers of one machine running next to its server, until a signal."""

import logging
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

from deployments.local_server import LocalServer
from deployments.processes import end, start
from deployments.worker import Worker

logger = logging.getLogger(__name__)

_AGAIN_S = 5.0


@contextmanager
def stop_signal() -> Iterator[Event]:
    """Yield an event that Ctrl-C, SIGTERM and the end of the terminal set; `nohup` still works."""
    stop, before = Event(), {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_working(
    workers: Sequence[Worker],
    server: LocalServer,
    environment: Mapping[str, str],
    stop: Event,
) -> None:
    """Run workers until `stop` is set; if a worker ends, start it again.

    Their output goes to the log of the server.

    Raises
    ------
    ServeError
        ``server_ended``: the server has ended.
    """
    under_way: dict[Worker, subprocess.Popen[bytes]] = {}
    try:
        while not stop.is_set():
            if server.process.has_ended():
                raise server.ended()
            for worker in workers:
                process = under_way.get(worker)
                if process is None or process.poll() is not None:
                    if process is not None:
                        logger.warning("worker %s ended; starting it again", worker.full_name)
                        stop.wait(_AGAIN_S)
                    command = worker.command(end_with_stdin=True)
                    under_way[worker] = start(command, worker.environment(environment), server.log)
            stop.wait(0.5)
    finally:
        end(list(under_way.values()))
