"""Prefect server of `amnst serve`: only for this machine, and only with its login."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TextIO

from deployments.processes import end
from deployments.server_environment import SERVER_ENVIRONMENT
from flows.server.home import prefect_home, private_prefect_home, room_in
from flows.server.login import make_login, open_lock
from flows.server_process.process import START_S, ServerProcess
from nst_core.errors import NSTError

_HOST = "127.0.0.1"
_LOCK_S = 5.0
"""Time to wait for the lock: a query holds it briefly, a server that is ending for seconds."""
_SERVER_LOGIN = "PREFECT_SERVER_API_AUTH_STRING"


class ServeError(NSTError):
    """Error of a server on this machine that cannot be started, or has ended."""


@dataclass(frozen=True)
class Address:
    """Address of the server, which listens only on this machine."""

    port: int

    @property
    def ui(self) -> str:
        """Address for a browser."""
        return f"http://{_HOST}:{self.port}"

    @property
    def api(self) -> str:
        """Address for PREFECT_API_URL."""
        return f"{self.ui}/api"

    def listen(self) -> socket.socket:
        """Take the port for the server, so that no other program can answer there.

        Raises
        ------
        ServeError
            ``port_in_use``.
        """
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((_HOST, self.port))
            taken.listen()
        except OSError as error:
            taken.close()
            raise ServeError(
                f"port {self.port} of {_HOST}: {error.strerror}; pass another --port, or end "
                "the server that uses it",
                code="port_in_use",
            ) from error
        return taken


def log_file(home: Path) -> Path:
    """Return the path of the log of server and workers."""
    return home / "amnst-serve.log"


@contextmanager
def opened_log(home: Path) -> Iterator[TextIO]:
    """Open a new log, which only its owner can read; keep one earlier log."""
    path = log_file(home)
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as log:
        yield log


@dataclass(frozen=True)
class LocalServer:
    """A running server that answers.

    Attributes
    ----------
    process
        Server process, which ends when this process ends.
    login
        Value for PREFECT_API_AUTH_STRING; None if the server asks for no login.
    log
        Log of the server, and of the workers if they write to it.
    """

    process: ServerProcess
    login: str | None
    log: TextIO

    def ended(self) -> ServeError:
        """Return the error of a server that has ended, with the reason in its log."""
        return _ended(self.process)


def server_environment(
    address: Address, inherited: Mapping[str, str], login: str | None = None
) -> dict[str, str]:
    """Return the inherited environment with the server's variables; the user's own win.

    Parameters
    ----------
    login
        Login that the server asks for; None for a server without a login.
    """
    found = {
        **SERVER_ENVIRONMENT,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # SQLite lets one transaction write at a time. Prefect would mark all waiting shards as
        # Late concurrently, with a page of `database is locked` in the log for each but one.
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        # Otherwise Prefect reports the first use on a terminal, and prints a notice.
        "DO_NOT_TRACK": "1",
        **inherited,
        "PREFECT_API_URL": address.api,
    }
    for name in (_SERVER_LOGIN, "PREFECT_API_AUTH_STRING"):  # the server also calls itself
        found.pop(name, None)
        if login is not None:
            found[name] = login
    return found


@contextmanager
def running_server(
    address: Address,
    stop: Event,
    *,
    auth: bool = True,
    allow_hosts: Sequence[str] = (),
) -> Iterator[LocalServer]:
    """Start the server, yield it when it answers, and end it afterwards.

    Parameters
    ----------
    auth
        Ask for a login: PREFECT_SERVER_API_AUTH_STRING, else one that is created once and kept
        in PREFECT_HOME.
    allow_hosts
        Further host names of the server, for example behind a reverse proxy.

    Raises
    ------
    ServeError
        ``port_in_use``, ``home_in_use``, ``no_auth_elsewhere``, ``server_ended`` or
        ``server_silent``.
    """
    if allow_hosts and not auth:
        raise ServeError(
            f"--no-auth with --allow-host {' '.join(allow_hosts)} would let everybody there run "
            "commands as you; remove one of the two options",
            code="no_auth_elsewhere",
        )
    with (
        address.listen() as door,
        room_in(home := private_prefect_home()),
        _alone_in(home) as lock,
        opened_log(home) as log,
    ):
        login = (os.environ.get(_SERVER_LOGIN) or make_login(home)) if auth else None
        environment = server_environment(address, os.environ, login)
        process = ServerProcess(door, lock, home, environment, allow_hosts)
        try:
            _wait_until_ready(process, stop)
            process.log.pass_on(log)
            lock.write(address.ui)
            lock.flush()
            yield LocalServer(process, login, log)
        finally:
            end([process.popen])
            lock.truncate(0)  # from now on another program may listen there


@contextmanager
def _alone_in(home: Path) -> Iterator[TextIO]:
    """Hold the home's lock: two servers on one database would take each other's runs."""
    give_up = time.monotonic() + _LOCK_S
    with open_lock(home) as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up:
                    raise _in_use(home, lock) from error
                time.sleep(0.1)
        lock.truncate(0)
        yield lock


def _in_use(home: Path, lock: TextIO) -> ServeError:
    lock.seek(0)
    served_at = lock.read() or "another port"
    return ServeError(
        f"another server already uses PREFECT_HOME {home}, at {served_at}; use that server, end "
        "it, or set another PREFECT_HOME",
        code="home_in_use",
    )


def _wait_until_ready(process: ServerProcess, stop: Event) -> None:
    outcome = process.wait(stop)
    if outcome == "ended":
        raise _ended(process)
    if outcome == "silent":
        process.log.pass_on()
        reason = f"the server at {process.url}/api does not answer after {START_S:.0f} s"
        raise ServeError(f"{reason}; its log is above", code="server_silent")


def _ended(process: ServerProcess) -> ServeError:
    return ServeError(
        f"the Prefect server ended with code {process.popen.returncode}: "
        f"{process.log.last_words()}; its database and files are in PREFECT_HOME {prefect_home()}",
        code="server_ended",
    )
