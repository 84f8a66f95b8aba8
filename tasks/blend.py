"""Blend ambiences: a row's ambiences become one, and later stages see only that one."""

from contextlib import ExitStack
from pathlib import Path

from prefect import task

from nst_core.transfer.analysis import load_analysis, save_analysis
from nst_core.transfer.blending import blend
from tasks.jobs.pair import BlendJob
from tasks.running.caching import ArtefactPolicy, artefact, produce
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.storage.store import Json, Record


@task(name="blend-ambiences", cache_policy=ArtefactPolicy(), **RETRIES)
def blend_ambiences(job: BlendJob, workspace: Workspace) -> Record:
    """Blend several analyses into one."""

    def make(path: Path) -> dict[str, Json]:
        with ExitStack() as stack:
            paths = [stack.enter_context(artefact(part, workspace)) for part in job.parts]
            analyses = [load_analysis(each) for each in paths]
        mel = job.parts[0].mel
        blended = blend(analyses, job.shares, mel)
        save_analysis(path, blended)
        return {"duration_s": len(blended.y) / blended.sr}

    return produce(job, workspace, "npz", make)
