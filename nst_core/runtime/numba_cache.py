"""Place for Numba's compiled functions where it would find none, and refuse to import."""

import atexit
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

_FOLDER = "NUMBA_CACHE_DIR"


def place_numba_cache(package: Path, environment: MutableMapping[str, str]) -> None:
    """Name a temporary folder if neither package nor user's cache can be written to.

    Numba keeps compiled functions beside their module, else in the user's cache. A container with a
    read-only package and a user without a home has neither, and Numba raises an error on import.
    The folder is private and lasts as long as this process, because Numba runs what it finds there.

    Parameters
    ----------
    package
        Folder of the modules with compiled functions.
    environment
        Variables of this process; NUMBA_CACHE_DIR is kept if it is set.
    """
    if environment.get(_FOLDER) or _is_writable(package) or _is_writable(_user_cache(environment)):
        return
    folder = tempfile.mkdtemp(prefix="amnst-numba-")  # mode 0700
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment[_FOLDER] = folder


def _user_cache(environment: MutableMapping[str, str]) -> Path:
    named = environment.get("XDG_CACHE_HOME")
    return Path(named) if named else Path(environment.get("HOME") or "/") / ".cache"


def _is_writable(folder: Path) -> bool:
    """Try to create the folder, and a file without a name in it, as Numba does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
