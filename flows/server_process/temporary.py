"""Temporary Prefect server of one `render` or `train`, which ends with its command.

It has its own secret and its own database. With a shared database, the workers of `amnst serve`
would execute any run that is created here.
"""

import atexit
import logging
import os
import secrets
import shutil
import socket
import sqlite3
import sys
from pathlib import Path
from threading import Timer

from flows.server.home import HomeError
from flows.server_process.empty_database import copy_empty_database, keep_empty_database
from flows.server_process.folders import new_folder
from flows.server_process.process import START_S, ServerProcess
from nst_core.errors import NSTError

logger = logging.getLogger(__name__)

_LONG_S = 4.0
"""After this time a message says that we wait."""
_INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"),
    "PYTHONWARNINGS",
)
"""Variables that Python needs. The server needs no credentials and no other server's PREFECT_*."""


class TemporaryServerError(NSTError):
    """Error of a temporary server that cannot be started."""


class TemporaryServer:
    """Prefect server that starts at once; `wait` returns when it can be used.

    Parameters
    ----------
    home
        PREFECT_HOME; the server's folder is in its subfolder ``temporary``.
    verbose
        Show the server's log.

    Raises
    ------
    HomeError
        ``bad_home`` if the folder cannot be written to.
    """

    def __init__(self, home: Path, *, verbose: bool) -> None:
        self._kept = home / "temporary"
        try:
            self._folder, lock = new_folder(self._kept)
            self._has_database = copy_empty_database(self._kept, self._database)
        except OSError as error:
            raise HomeError(
                f"PREFECT_HOME {home}: {error.strerror}; make room there, or set PREFECT_HOME to "
                "a folder that you can write to",
                code="bad_home",
            ) from error
        self._owner, self._secret = os.getpid(), secrets.token_urlsafe(32)
        with lock, socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            self._process = ServerProcess(door, lock, self._folder, self._server_environment())
        if verbose:
            self._process.log.pass_on()
        atexit.register(self.stop)

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which Prefect's client finds the server."""
        return {
            "PREFECT_API_URL": f"{self._process.url}/api",
            "PREFECT_API_AUTH_STRING": self._secret,
            "PREFECT_UI_URL": "",  # without a UI, no message names a page of a run
        }

    def wait(self) -> None:
        """Wait until the server can be used.

        Raises
        ------
        TemporaryServerError
            ``server_ended`` with its last words, or ``server_silent``.
        """
        told = Timer(_LONG_S, lambda: sys.stderr.write("waiting for Prefect to start\n"))
        told.daemon = True
        told.start()
        try:
            outcome = self._process.wait()
        finally:
            told.cancel()
        if outcome == "ended":
            raise TemporaryServerError(
                f"Prefect's temporary server did not start: {self._process.log.last_words()} "
                f"(its database was in {self._kept})",
                code="server_ended",
            )
        if outcome == "silent":
            raise TemporaryServerError(
                f"Prefect's temporary server does not answer after {START_S:.0f} s; try "
                "again when the machine is less busy",
                code="server_silent",
            )
        if not self._has_database:
            try:
                keep_empty_database(self._database, self._kept)
            except (OSError, sqlite3.Error):  # the next start creates it again
                logger.debug("could not keep the empty database", exc_info=True)

    def stop(self) -> None:
        """End the server at once, and remove its database."""
        if os.getpid() != self._owner:
            return
        self._process.popen.kill()
        self._process.popen.wait()
        self._process.close_stdin()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _database(self) -> Path:
        return self._folder / "prefect.db"

    def _server_environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        kept |= {name: text for name, text in os.environ.items() if name.startswith("LC_")}
        level = os.environ.get("PREFECT_SERVER_LOGGING_LEVEL", "WARNING")
        return kept | {
            "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": str(not self._has_database),
            "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # our flows use no blocks
            "PREFECT_SERVER_API_AUTH_STRING": self._secret,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": level,
            "DO_NOT_TRACK": "1",
            # Like Prefect's own temporary server, without the services for schedules and workers.
            "PREFECT__SERVER_EPHEMERAL": "1",
        }
