"""Finish a pair: its mel becomes sound, and the sound appears in its place.

One task run for both: every run costs the server six milliseconds or more of its CPU, as much as
storing ten records, and an upload alone is seldom what a person looks for. The stages keep
their names: a failure says in which of the two it happened.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.caching import Workspace
from tasks.invert import invert_pair
from tasks.retry import RETRIES
from tasks.upload import Published, UploadJob, upload_pair

_NOTE = "stage: "


@task(
    name="finish-pair",
    task_run_name="finish-{row_id}",
    cache_policy=NO_CACHE,  # the store knows the sound; the output's place is looked at each time
    **RETRIES,
)
def finish_pair(job: UploadJob, workspace: Workspace, row_id: str) -> Published:
    """Invert and upload one pair; a second attempt finds what the first one has made."""
    del row_id  # names the run in the UI
    with _stage("invert"):
        invert_pair(job.render, workspace)
    with _stage("upload"):
        return upload_pair(job, workspace)


@contextmanager
def _stage(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"{_NOTE}{name}")  # the UI shows it, too, below the traceback
        raise


def failed_stage(error: BaseException) -> str:
    """The stage of `finish_pair` that raised an error."""
    notes: list[str] = getattr(error, "__notes__", [])
    named = [note.removeprefix(_NOTE) for note in notes if note.startswith(_NOTE)]
    return named[0] if named else "invert"
