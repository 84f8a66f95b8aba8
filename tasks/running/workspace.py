"""Workspace of a worker: its store, its scratch folder, its threads."""

import contextlib
import functools
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from tasks.storage.errors import StorageError
from tasks.storage.full_disk import room
from tasks.storage.store import Store
from tasks.storage.uris import join

_PREFIX = "amnst-scratch-"
_FORGOTTEN_S = 7 * 86_400.0


@dataclass(frozen=True)
class Workspace:
    """Where a worker works; not part of any cache key, because it does not affect results.

    Attributes
    ----------
    store_uri
        Root of the artefact store, a folder or ``s3://`` prefix.
    scratch
        Local folder for temporary files.
    n_threads
        Threads per operation. One and two give the same bytes; more may differ by rounding.
    """

    store_uri: str
    scratch: str
    n_threads: int = 1

    @cached_property
    def store(self) -> Store:
        """Artefact store."""
        return Store(self.store_uri)

    def run_file(self, run_id: str, *name: str) -> str:
        """Return the place in the store of one file of a catalogue's run, or of its folder."""
        if not re.fullmatch(r"[0-9a-zA-Z-]{1,64}", run_id):
            raise ValueError(f"run id {run_id!r} cannot name a folder")
        return join(self.store.root_uri, "runs", run_id, *name)

    @contextlib.contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """Yield a private folder and delete it afterwards; a killed process's, after a week.

        Raises
        ------
        StorageError
            The scratch disk is full, now or while the caller writes to the folder.
        """
        with self._usable():
            root = self.scratch_root()
            _remove_forgotten_once(str(root.absolute()))
            folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=root)
        full = partial(StorageError, self.scratch, "write")
        with room("AMNST_SCRATCH", full), folder as name:
            yield Path(name)

    def scratch_root(self) -> Path:
        """Return `scratch`, created if it does not exist, with no access for other users."""
        root = Path(self.scratch)
        with self._usable():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = root.lstat()
        if status.st_uid != os.getuid() or stat.S_ISLNK(status.st_mode):
            # In a shared temporary folder, another user could have set a trap.
            raise StorageError(
                self.scratch,
                "use",
                "it belongs to another user or is a link; set AMNST_SCRATCH to your own folder",
            )
        return root

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{error.strerror}; set AMNST_SCRATCH to your own folder"
            raise StorageError(self.scratch, "write", reason) from error


@functools.cache
def _remove_forgotten_once(root: str) -> None:
    """Remove the scratch folders of processes that were killed long ago, once per process."""
    for left in Path(root).glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another process may remove it as well
            if time.time() - left.stat().st_mtime > _FORGOTTEN_S:
                shutil.rmtree(left, ignore_errors=True)
