"""Login of the server that `amnst serve` runs: a secret that only its owner can read.

Our own commands find it automatically. They send it only to the server that holds the lock of
this PREFECT_HOME, because `localhost` may resolve to an address where another user's program
listens.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from nst_core.errors import NSTError

AUTH = "PREFECT_API_AUTH_STRING"
_USER = "amnst"
_OURS = {"127.0.0.1", "localhost"}


class LoginError(NSTError):
    """Error of a login that other users of the machine can read."""


def login_file(home: Path) -> Path:
    """Return the path of the login: one line, in the form of ``PREFECT_API_AUTH_STRING``."""
    return home / "amnst-login"


def lock_file(home: Path) -> Path:
    """Return the path of the file that `amnst serve` locks; it contains the server's address."""
    return home / "amnst-serve.lock"


def open_lock(home: Path) -> TextIO:
    """Open the lock file for its owner only: anyone who can read a file can lock it."""
    descriptor = os.open(lock_file(home), os.O_RDWR | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)  # earlier versions made it readable for others
    return os.fdopen(descriptor, "r+", encoding="utf-8")


def make_login(home: Path) -> str:
    """Return the login of a home; create it if there is none.

    The caller holds the home's lock, so no other process creates one at the same time.

    Raises
    ------
    LoginError
        ``login_exposed`` for a file that other users may have read.
    """
    file = login_file(home)
    if not file.exists():
        _write(file, f"{_USER}:{secrets.token_urlsafe(32)}\n")
    found = file.stat()
    if not _is_private(found):
        raise LoginError(
            f"other users may have read the login {file} (mode {found.st_mode & 0o777:04o}, owner "
            f"{found.st_uid}); delete it, and the next start creates a new one",
            code="login_exposed",
        )
    return file.read_text("utf-8").strip()


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.getuid() and not found.st_mode & 0o077


def _write(file: Path, text: str) -> None:
    """Write a file that is complete and private as soon as it exists."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)  # if the disk is full


def log_in(environment: MutableMapping[str, str], home: Path) -> None:
    """Add the login to an environment whose PREFECT_API_URL names this home's own server.

    A login that the user has set is kept. The URL is replaced by the address at which the server
    listens, because ``localhost`` may lead to ``::1`` first, where another user's program may
    listen.
    """
    url = environment.get("PREFECT_API_URL")
    if AUTH in environment or not url:
        return
    served = served_at(home)
    if served is None or not _is_same(url, served):
        return
    try:
        login = login_file(home).read_text("utf-8").strip()
    except OSError:  # `amnst serve --no-auth` creates none; the server says if it needs one
        return
    environment.update({"PREFECT_API_URL": f"{served}/api", AUTH: login})


def _is_same(url: str, served: str) -> bool:
    asked, ours = urlsplit(url), urlsplit(served)
    try:
        port = asked.port
    except ValueError:  # not a number
        return False
    return (asked.scheme, port) == (ours.scheme, ours.port) and asked.hostname in _OURS


def served_at(home: Path) -> str | None:
    """Return the address of the server that uses this home now; None if none is running.

    Without the lock, another program may listen at the address, so the file alone does not count.
    Neither does a file that another user owns or can open, because that user may hold its lock.
    """
    try:
        with lock_file(home).open(encoding="utf-8") as lock:
            if not _is_private(os.fstat(lock.fileno())):
                return None
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or None
    except OSError:
        pass
    return None
