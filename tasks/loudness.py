"""Measure a piece of music before it is rendered."""

import json
import math
from pathlib import Path

from prefect import task

from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.reading import read_long_audio
from nst_core.errors import AudioError
from tasks.jobs.loudness import LoudnessJob
from tasks.running.caching import ArtefactPolicy, produce
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.storage.files import fetch_input
from tasks.storage.store import Json, Record


@task(name="measure-loudness", cache_policy=ArtefactPolicy(), **RETRIES)
def measure_loudness(job: LoudnessJob, workspace: Workspace) -> Record:
    """Measure a piece; the record contains ``loudness_lufs`` (None for silence), ``duration_s``."""

    def make(path: Path) -> dict[str, Json]:
        with fetch_input(job.uri, path.parent) as source:
            try:
                audio = read_long_audio(
                    source,
                    start_s=job.start_s,
                    duration_s=job.duration_s,
                    scratch=path.parent,
                    sha256=job.sha256,
                )
            except AudioError as error:
                # A remote file is read from a temporary copy, whose name means nothing.
                raise AudioError(error.code, job.uri, error.reason) from error
        lufs = loudness_lufs(audio.y, audio.sr)
        found: dict[str, Json] = {
            "loudness_lufs": round(lufs, 2) if math.isfinite(lufs) else None,
            "duration_s": len(audio.y) / audio.sr,
        }
        path.write_text(json.dumps(found), "utf-8")
        return found

    return produce(job, workspace, "json", make)
