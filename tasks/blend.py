"""Blend ambiences: those of a row become one, so that later stages know of no other."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from prefect import task

from nst_core.analysis import load_analysis, save_analysis
from nst_core.blend import blend
from tasks.caching import ArtefactPolicy, Workspace, artefact, produce
from tasks.mels import AnalysisJob
from tasks.retry import RETRIES
from tasks.store import Json, Record, artefact_key

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class BlendJob:
    """Several ambiences of one or many pairs, and the share of each in the whole."""

    parts: tuple[AnalysisJob, ...]
    shares: tuple[float, ...]

    stage = "blend"

    @cached_property
    def key(self) -> str:
        """Of the analyses and the shares, in the order of the row."""
        keys = [part.key for part in self.parts]
        return artefact_key(self.stage, _VERSION, {"shares": list(self.shares)}, keys)


@task(
    name="blend-ambiences", task_run_name="blend-{row_id}", cache_policy=ArtefactPolicy(), **RETRIES
)
def blend_ambiences(job: BlendJob, workspace: Workspace, row_id: str) -> Record:
    """Make one analysis of several."""
    del row_id  # names the run in the UI

    def make(path: Path) -> dict[str, Json]:
        with ExitStack() as stack:
            paths = [stack.enter_context(artefact(part, workspace)) for part in job.parts]
            analyses = [load_analysis(each) for each in paths]
        mel = job.parts[0].mel
        blended = blend(analyses, job.shares, mel)
        save_analysis(path, blended)
        return {"duration_s": len(blended.y) / mel.sr}

    return produce(job, workspace, "npz", make)


def parts_of(ambience: AnalysisJob | BlendJob) -> Sequence[tuple[AnalysisJob, float]]:
    """Each file that an ambience is made of, with its share."""
    if isinstance(ambience, AnalysisJob):
        return [(ambience, 1.0)]
    return list(zip(ambience.parts, ambience.shares, strict=True))
