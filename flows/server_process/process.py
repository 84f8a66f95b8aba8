"""Server process: how it starts, when it answers and why it has ended."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import IO, Literal, TypeAlias

import httpx

from flows.server_process.log import ServerLog

START_S = 180.0
"""A server that does not answer within this time counts as silent."""

Outcome: TypeAlias = Literal["ready", "ended", "silent", "stopped"]


class ServerProcess:
    """Guarded Prefect server, which ends with this process, even if this process is killed.

    It reads a pipe whose other end only this process has. Ctrl-C in a terminal does not reach it,
    because a flow without its server would try for a minute to report the interruption. It runs
    no code and reads no settings from the current folder, which may not be trustworthy.

    Parameters
    ----------
    door
        Socket that is bound to its address, so that no other program can take the port.
    lock
        File that it keeps open, and so locked, until it ends.
    home
        PREFECT_HOME, an absolute path.
    environment
        Further environment variables.
    allow_hosts
        Further host names of the server.
    """

    def __init__(
        self,
        door: socket.socket,
        lock: IO[str] | IO[bytes],
        home: Path,
        environment: Mapping[str, str],
        allow_hosts: Sequence[str] = (),
    ) -> None:
        host, port = door.getsockname()
        self.url = f"http://{host}:{port}"
        self.popen = subprocess.Popen(  # noqa: S603  # our own arguments
            [
                # -P keeps Python from running a folder `flows` in the current folder.
                *(sys.executable, "-P", "-m", "flows.server_process.guarded", "--end-with-stdin"),
                *("--host", host, "--port", str(port), "--fd", str(door.fileno())),
                *(option for name in allow_hosts for option in ("--allow-host", name)),
            ],
            cwd=home,  # Prefect reads settings from .env and *.toml files in the current folder
            env={
                # By default any page may read the CSRF token, which would then protect nothing.
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{self.url},http://localhost:{port}",
                **_with_absolute_paths(environment),
                "PREFECT_HOME": str(home),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # its log
            start_new_session=True,
            pass_fds=(door.fileno(), lock.fileno()),
            umask=0o077,  # database and logs are only for their owner
        )
        self.log = ServerLog(self.popen)
        # A forked child may outlive this process.
        os.register_at_fork(after_in_child=self.close_stdin)

    def wait(self, stop: Event | None = None) -> Outcome:
        """Wait until it answers, ends or is silent for too long, or until `stop` is set."""
        stop = stop or Event()
        give_up = time.monotonic() + START_S
        while not stop.is_set():
            if self.has_ended():
                return "ended"
            if self._answers():
                return "ready"
            if time.monotonic() > give_up:
                return "silent"
            stop.wait(0.1)
        return "stopped"

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return self.popen.poll() is not None

    def close_stdin(self) -> None:
        """Close the pipe, which ends a server that is still running."""
        if self.popen.stdin:
            self.popen.stdin.close()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/health", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False


def _with_absolute_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process with another current folder."""
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    absolute = os.pathsep.join(str(Path(path).resolve()) for path in paths)
    return {**environment, **({"PYTHONPATH": absolute} if absolute else {})}
