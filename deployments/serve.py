"""`amnst serve`: server, deployments and workers of one machine, as one command."""

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx

from deployments.server_environment import SERVER_ENVIRONMENT
from deployments.worker import Worker
from nst_core.errors import NSTError

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_START_S = 180.0
_GRACE_S = 20.0
"""For a run's last words to the server."""
_AGAIN_S = 5.0


class ServeError(NSTError):
    """The server of this machine cannot be started, or has ended."""


@dataclass(frozen=True)
class Address:
    """Where the server of this machine listens: nowhere but on this machine."""

    port: int

    @property
    def ui(self) -> str:
        """For a browser."""
        return f"http://{_HOST}:{self.port}"

    @property
    def api(self) -> str:
        """For PREFECT_API_URL."""
        return f"{self.ui}/api"

    def check_free(self) -> None:
        """Raise `ServeError` ``port_in_use``."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, self.port))
            except OSError as error:
                raise ServeError(
                    f"port {self.port} of {_HOST}: {error.strerror}; pass another --port, or end "
                    "the server that has it",
                    code="port_in_use",
                ) from error


def server_command(address: Address) -> list[str]:
    """The program and its arguments."""
    return [
        *(sys.executable, "-m", "prefect", "server", "start"),
        *("--host", _HOST, "--port", str(address.port)),
    ]


def server_environment(address: Address, inherited: Mapping[str, str]) -> dict[str, str]:
    """The inherited environment with what the server adds; what the user has set stays."""
    return {
        **SERVER_ENVIRONMENT,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # SQLite lets one transaction write. Prefect would mark all shards that wait for a worker
        # as Late side by side, with a page of `database is locked` in the log for each but one.
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        # On a terminal Prefect counts a first use, and says so.
        "DO_NOT_TRACK": "1",
        # By default any page may read the CSRF token, which then protects from nothing.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{address.ui},http://localhost:{address.port}",
        **inherited,
        "PREFECT_API_URL": address.api,
    }


@contextmanager
def stop_signal() -> Iterator[Event]:
    """Yield what Ctrl-C and SIGTERM set."""
    stop, before = Event(), {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def running_server(address: Address, stop: Event) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server, yield when it answers, end it afterwards.

    Raises
    ------
    ServeError
        ``port_in_use``, ``home_in_use``, ``server_ended`` or ``server_silent``.
    """
    address.check_free()
    # As the server will read it.
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    with _alone_in(home, address) as lock:
        yield from _running(address, stop, lock)


@contextmanager
def _alone_in(home: Path, address: Address) -> Iterator[tuple[int, ...]]:
    """Hold the home's lock: two servers on one database would take each other's runs.

    Yields its descriptor, for the server, which may outlive us.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "amnst-serve.lock").open("a+", encoding="utf-8")
    except OSError:
        yield ()  # the server says better what is wrong with the folder
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            served_at = lock.read() or "another port"
            raise ServeError(
                f"PREFECT_HOME {home} is served at {served_at} already; use that server, end it, "
                "or set another PREFECT_HOME",
                code="home_in_use",
            ) from error
        lock.truncate(0)
        lock.write(address.ui)
        lock.flush()
        yield (lock.fileno(),)


def _running(
    address: Address, stop: Event, lock: tuple[int, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    environment = server_environment(address, os.environ)
    # On stdout it has a banner and advice, which no setting turns off; its log is on stderr.
    command = server_command(address)
    process = start(command, environment, stdout=subprocess.DEVNULL, descriptors=lock)
    try:
        _wait_until_ready(address, process, stop)
        yield process
    finally:
        end([process])


def _wait_until_ready(address: Address, process: subprocess.Popen[bytes], stop: Event) -> None:
    give_up = time.monotonic() + _START_S
    while not stop.is_set():
        if process.poll() is not None:
            raise _ended(process)
        try:
            if httpx.get(f"{address.api}/health", timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > give_up:
            reason = f"the server at {address.api} does not answer after {_START_S:.0f} s"
            raise ServeError(f"{reason}; its log is above", code="server_silent")
        stop.wait(0.2)


def _ended(process: subprocess.Popen[bytes]) -> ServeError:
    return ServeError(
        f"the Prefect server ended with code {process.returncode}; its log is above",
        code="server_ended",
    )


def keep_working(
    workers: Sequence[Worker],
    server: subprocess.Popen[bytes],
    environment: Mapping[str, str],
    stop: Event,
) -> None:
    """Run workers in an environment until `stop` is set; start one that ends again.

    Raises
    ------
    ServeError
        ``server_ended`` when the server does.
    """
    under_way: dict[Worker, subprocess.Popen[bytes]] = {}
    try:
        while not stop.is_set():
            if server.poll() is not None:
                raise _ended(server)
            for worker in workers:
                process = under_way.get(worker)
                if process is None or process.poll() is not None:
                    if process is not None:
                        logger.warning("worker %s ended, started again", worker.full_name)
                        stop.wait(_AGAIN_S)
                    under_way[worker] = start(worker.command(), worker.environment(environment))
            stop.wait(0.5)
    finally:
        end(list(under_way.values()))


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: int | None = None,
    descriptors: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: a terminal's Ctrl-C reaches only us.

    What it prints goes to our stderr by default. It keeps `descriptors` open as long as it lives.
    """
    return subprocess.Popen(  # noqa: S603  # our own arguments
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if stdout is None else stdout,
        start_new_session=True,
        pass_fds=descriptors,
    )


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and kill the groups of those that do not."""
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
