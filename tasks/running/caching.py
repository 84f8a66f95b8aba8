"""Cached stages: our store is authoritative; Prefect keeps only receipts.

Every stage takes a *job*, a frozen dataclass whose `key` is a hash of everything that
decides the bytes of its result. The task looks in the store first and computes only
missing results. Prefect's cache uses the same key, but gets no key while the artefact is
missing, so the UI shows a task run as Cached exactly when nothing had to be computed.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext

from tasks.jobs.keys import Job
from tasks.running.workspace import Workspace
from tasks.storage.errors import LostArtefactError
from tasks.storage.store import Json, Record

logger = logging.getLogger(__name__)


@dataclass
class ArtefactPolicy(CachePolicy):
    """Cache policy for Prefect tasks with the arguments ``job`` and ``workspace``."""

    result: str = ""
    """Attribute of the job that names the task's result; if empty, the job itself does."""

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """Return the job's key, or None if its artefact is missing, so that the task runs."""
        del task_ctx, flow_parameters, kwargs
        job, workspace = inputs["job"], inputs["workspace"]
        if self.result:
            job = getattr(job, self.result)
        return job.key if workspace.store.exists(job.stage, job.key) else None


def produce(
    job: Job, workspace: Workspace, suffix: str, make: Callable[[Path], Mapping[str, Json]]
) -> Record:
    """Return a job's result; compute it if the store does not have it.

    Parameters
    ----------
    job, workspace
        Result to compute, and where.
    suffix
        Suffix of the artefact's file.
    make
        Writes the artefact to the given path and returns facts for the record. The path is
        in a folder of its own, which is deleted afterwards.

    Raises
    ------
    StorageError
        The scratch folder is full, or the store fails. Errors of `make` pass through.
    """
    store = workspace.store
    if record := store.find(job.stage, job.key):
        return record
    started = time.monotonic()
    with workspace.scratch_folder() as folder:
        path = folder / f"artefact.{suffix}"
        facts = make(path)
        seconds = round(time.monotonic() - started, 3)
        record = store.commit(job.stage, job.key, path, suffix, {**facts, "seconds": seconds})
    logger.debug("%s %s made in %.2f s", job.stage, job.key[:12], seconds)
    return record


@contextlib.contextmanager
def artefact(job: Job, workspace: Workspace) -> Iterator[Path]:
    """Yield the local path of a job's result, which an earlier stage has made.

    Raises
    ------
    LostArtefactError
        ``not_found`` or ``corrupt_artefact`` if the result was deleted or damaged.
    """
    record = workspace.store.find(job.stage, job.key)
    if record is None:
        raise missing(job, workspace)
    scratch = workspace.scratch_root()
    with workspace.store.open_local(record, scratch_dir=scratch) as path:
        yield path


def missing(job: Job, workspace: Workspace) -> LostArtefactError:
    """Return the error of a stage whose input was deleted."""
    return LostArtefactError(
        workspace.store_uri,
        f"read the {job.stage} artefact {job.key[:12]} in",
        "it was deleted while the flow was running; run the flow again",
        code="not_found",
    )
