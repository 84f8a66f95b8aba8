"""Finish a pair: turn its mel into sound and publish it.

Both stages share one task run, because every run costs the server 6 ms of CPU or more, as much
as storing ten records, and people rarely look for an upload alone. The stages keep their names:
a failure says in which of the two it happened.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.invert import invert_pair
from tasks.jobs.pair import PairJob
from tasks.listen import share_pair
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.upload import Published, upload_pair

_STAGE = "amnst_stage"
"""Attribute of an error that names the stage that raised it."""


@task(
    name="finish-pair",
    task_run_name="finish-{job.row_id}",
    cache_policy=NO_CACHE,  # the store caches the sound; the published file is checked every time
    **RETRIES,
)
def finish_pair(job: PairJob, workspace: Workspace) -> Published:
    """Invert and upload one pair; a second attempt reuses the results of the first."""
    with _stage("invert"):
        invert_pair(job, workspace)
    with _stage("upload"):
        published = upload_pair(job, workspace)
        share_pair(job, workspace)
    return published


@contextmanager
def _stage(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        vars(error)[_STAGE] = name
        error.add_note(f"stage: {name}")  # the UI shows it below the traceback
        raise


def failed_stage(error: BaseException) -> str:
    """Return the stage of `finish_pair` that raised an error."""
    stage: str = getattr(error, _STAGE, "invert")
    return stage
