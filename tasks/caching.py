"""Cached stages: our store is the truth, Prefect holds receipts.

Every stage takes a *job*, a frozen dataclass whose `key` is a hash of what decides the
bytes of its result. The task asks the store first and computes only what is missing.
Prefect's cache sees the same key, and sees none while the artefact is missing, so a
task run of a single stage shows as Cached exactly when nothing had to be made.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext

from tasks.files import StorageError
from tasks.store import Json, Record, Store

logger = logging.getLogger(__name__)

_PREFIX = "amnst-scratch-"
_FORGOTTEN_S = 7 * 86_400.0
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Workspace:
    """Where a worker works, which is in no key: it says nothing of what is made.

    Attributes
    ----------
    store_uri
        Root of the artefact store, a folder or ``s3://`` prefix.
    scratch
        Local folder for what is in the making.
    n_threads
        For one operation. One and two give the same bytes, more may differ by rounding.
    """

    store_uri: str
    scratch: str
    n_threads: int = 1

    @cached_property
    def store(self) -> Store:
        """The artefact store."""
        return Store(self.store_uri)

    @contextlib.contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A private folder that is gone afterwards; if the process is killed, after a week."""
        with self._usable():
            root = self.scratch_root()
            _remove_forgotten(root)
            folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=root)
        with folder as name:
            yield Path(name)

    def scratch_root(self) -> Path:
        """`scratch`, made if need be, closed to other users."""
        root = Path(self.scratch)
        with self._usable():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = root.lstat()
        if status.st_uid != os.getuid() or stat.S_ISLNK(status.st_mode):
            # In a temporary folder that all share, someone else may have laid a trap there.
            raise StorageError(
                self.scratch,
                "use",
                "it is another user's or a link; set AMNST_SCRATCH to your own",
            )
        return root

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{error.strerror}; name a folder of your own by AMNST_SCRATCH"
            raise StorageError(self.scratch, "write", reason) from error


def _remove_forgotten(root: Path) -> None:
    """Remove the scratch folders of processes that were killed long ago."""
    for left in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another process removes it, too
            if time.time() - left.stat().st_mtime > _FORGOTTEN_S:
                shutil.rmtree(left, ignore_errors=True)


class Job(Protocol):
    """What a cached stage is asked to make."""

    @property
    def stage(self) -> str:
        """Name of the stage."""

    @property
    def key(self) -> str:
        """Hash of everything that decides the result's bytes."""


@dataclass
class ArtefactPolicy(CachePolicy):
    """Prefect's cache key of a task with the arguments ``job`` and ``workspace``."""

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """Return the job's key, or None, which computes, while its artefact is missing."""
        del task_ctx, flow_parameters, kwargs
        job, workspace = inputs["job"], inputs["workspace"]
        return job.key if workspace.store.exists(job.stage, job.key) else None


def produce(
    job: Job, workspace: Workspace, suffix: str, make: Callable[[Path], Mapping[str, Json]]
) -> Record:
    """Return a job's result, making it if the store has none.

    Parameters
    ----------
    job, workspace
        What, and where.
    suffix
        Of the artefact's file.
    make
        Writes the artefact to the path it is given and returns facts for the record. The
        path's folder is its own, and gone afterwards.

    Raises
    ------
    StorageError
        If the scratch folder is full, and as the store says; else what `make` raises.
    """
    store = workspace.store
    if record := store.find(job.stage, job.key):
        return record
    started = time.monotonic()
    with workspace.scratch_folder() as folder:
        path = folder / f"artefact.{suffix}"
        with _room(workspace):
            facts = make(path)
        seconds = round(time.monotonic() - started, 3)
        record = store.commit(job.stage, job.key, path, suffix, {**facts, "seconds": seconds})
    logger.debug("%s %s made in %.2f s", job.stage, job.key[:12], seconds)
    return record


@contextlib.contextmanager
def _room(workspace: Workspace) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        reason = (
            f"{error.strerror}; make room there, or name another disk's folder by AMNST_SCRATCH"
        )
        raise StorageError(workspace.scratch, "write", reason) from error


@contextlib.contextmanager
def artefact(job: Job, workspace: Workspace) -> Iterator[Path]:
    """Local path of a job's result, which an earlier stage has made.

    Raises
    ------
    StorageError
        ``not_found`` when it is gone; running the flow again makes it.
    """
    record = workspace.store.find(job.stage, job.key)
    if record is None:
        raise missing(job, workspace)
    scratch = workspace.scratch_root()
    with workspace.store.open_local(record, scratch_dir=scratch) as path:
        yield path


def missing(job: Job, workspace: Workspace) -> StorageError:
    """The error of a stage whose input is gone."""
    return StorageError(
        workspace.store_uri,
        f"read the {job.stage} artefact {job.key[:12]} in",
        "it was deleted while the flow ran; start the flow again",
        code="not_found",
    )


def parameters(config: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a configuration dataclass as JSON values, for a key."""
    # dataclasses.asdict copies every value deeply: half the time of a look at finished rows.
    names = (field.name for field in dataclasses.fields(config) if field.name not in without)
    return {name: _plain(getattr(config, name)) for name in names}


def _plain(value: Any) -> Any:
    return parameters(value) if dataclasses.is_dataclass(value) else value
