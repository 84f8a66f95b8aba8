"""Folder of Prefect's own files: its database, its profiles and its cached results."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from nst_core.errors import NSTError
from tasks.storage.full_disk import room

_OTHERS = 0o077
"""Bits of a file's mode for the group and all others."""


class HomeError(NSTError):
    """Error of a PREFECT_HOME that cannot be used."""


def prefect_home() -> Path:
    """Return the folder that PREFECT_HOME names, by default our own.

    Prefect's default, ``~/.prefect``, may contain the database of another Prefect version and a
    profile that names another project's server.
    """
    if named := os.environ.get("PREFECT_HOME"):
        return Path(named).expanduser().absolute()
    data = Path(os.environ.get("XDG_DATA_HOME") or "")
    if not data.is_absolute():  # the XDG specification says to ignore a relative one
        data = Path.home() / ".local" / "share"
    return data / "amnst" / "prefect"


def private_prefect_home() -> Path:
    """Create the folder, readable only by its owner, and close one that others can read.

    Anyone who can read it knows every run, and anyone who can write to it can change the next
    run. A folder with a sticky bit, such as /tmp, and the user's home folder itself are not
    closed, because others may need them.

    Raises
    ------
    HomeError
        ``bad_home`` for a folder that cannot be written or that others can use.
    """
    home = prefect_home()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_shut_by_us(home):
            for path in (home, *home.glob("*.db*")):
                _shut(path)
        found = home.stat()
    except OSError as error:
        raise HomeError(
            f"PREFECT_HOME {home}: {error.strerror}; set PREFECT_HOME to a folder that you can "
            "write to",
            code="bad_home",
        ) from error
    if found.st_uid != os.getuid():
        raise _not_private(home, f"belongs to another user ({found.st_uid})")
    if found.st_mode & _OTHERS:
        raise _not_private(home, f"other users can enter it (mode {found.st_mode & 0o7777:04o})")
    return home


def room_in(home: Path) -> AbstractContextManager[None]:
    """Raise HomeError ``bad_home`` if the disk of the folder is full."""
    return room(
        "PREFECT_HOME",
        lambda reason: HomeError(f"PREFECT_HOME {home}: {reason}", code="bad_home"),
    )


def _not_private(home: Path, reason: str) -> HomeError:
    way_out = "set PREFECT_HOME to a folder that only you can use"
    return HomeError(f"PREFECT_HOME {home}: {reason}; {way_out}", code="bad_home")


def _is_shut_by_us(home: Path) -> bool:
    """Return whether the folder belongs to the user and is neither /tmp nor the home folder."""
    found = home.stat()
    is_shared = found.st_mode & 0o1000 or home.resolve() == Path.home().resolve()
    return found.st_uid == os.getuid() and not is_shared


def _shut(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & _OTHERS:
        path.chmod(mode & ~_OTHERS & 0o7777)
