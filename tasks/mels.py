"""Compute the mels of a pair's inputs and of a dataset's segments."""

from pathlib import Path

from prefect import task

from nst_core.audio.reading import LongAudio, read_long_audio
from nst_core.classifier.dataset import analyse_segments, load_audio_segments, save_segments
from nst_core.config import AudioLimits
from nst_core.config.rates import kept_rate
from nst_core.errors import AudioError
from nst_core.transfer.analysis import analyse, save_analysis
from tasks.jobs.pair import AnalysisJob, OriginJob
from tasks.jobs.training import SegmentMelJob
from tasks.origin import keep_origin
from tasks.running.caching import ArtefactPolicy, artefact, produce
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.storage.files import fetch_input
from tasks.storage.store import Json, Record


@task(
    name="compute-mels", task_run_name="mels-{job.name}", cache_policy=ArtefactPolicy(), **RETRIES
)
def compute_mels(job: AnalysisJob, workspace: Workspace) -> Record:
    """Read, check and analyse one input."""

    def make(path: Path) -> dict[str, Json]:
        scratch = path.parent
        with fetch_input(job.uri, scratch) as source:
            audio = _read(job, source, scratch)
            if job.name == "music":
                keep_origin(OriginJob(uri=job.uri, sha256=job.sha256), source, workspace)
        name = f'{job.name} "{job.uri}"'
        save_analysis(path, analyse(audio.y, job.mel, name=name, sr=audio.sr, scratch=scratch))
        return {"duration_s": len(audio.y) / audio.sr, "warnings": list(audio.warnings)}

    return produce(job, workspace, "npz", make)


def _read(job: AnalysisJob, source: Path, scratch: Path) -> LongAudio:
    try:
        return read_long_audio(
            source,
            sr=kept_rate,
            start_s=job.start_s,
            duration_s=job.duration_s,
            at_most_s=AudioLimits.max_ambience_s if job.name == "ambience" else None,
            scratch=scratch,
            sha256=job.sha256,
        )
    except AudioError as error:
        changed = "was changed after the manifest was read; run the flow again"
        reason = changed if error.code == "changed" else error.reason
        # A remote file is read from a temporary copy, whose name means nothing to the user.
        raise AudioError(error.code, job.uri, reason) from error


@task(name="compute-segment-mels", cache_policy=ArtefactPolicy(), **RETRIES)
def compute_segment_mels(job: SegmentMelJob, workspace: Workspace) -> Record:
    """Analyse the segments of a dataset."""

    def make(path: Path) -> dict[str, Json]:
        with artefact(job.segments, workspace) as source:
            segments = load_audio_segments(source)
        data = analyse_segments(segments, job.mel, n_threads=workspace.n_threads)
        save_segments(path, data)
        return {"n_segments": len(data.M)}

    return produce(job, workspace, "npz", make)
