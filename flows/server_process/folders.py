"""Folders of temporary servers: private, locked while the server runs, removed afterwards."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_LOCK = "in-use"


def new_folder(root: Path) -> tuple[Path, BinaryIO]:
    """Create a private folder below `root`, and remove the folders of dead servers.

    Returns
    -------
    The folder, and its lock: a file that the user of the folder keeps open. The system also
    closes it if that process is killed.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(root):
        for left in root.iterdir():
            if left.is_dir() and not _is_in_use(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=root))  # mode 0700
        lock = (folder / _LOCK).open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Prevent others from removing a new folder before it is locked."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_in_use(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # perhaps another user's (`sudo amnst render`)
        return True
    except FileNotFoundError:  # its process was killed before it could lock the folder
        pass
    return False
