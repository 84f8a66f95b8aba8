"""Segment tracks: cut the tracks of a dataset folder into 3-s segments."""

import hashlib
from collections import Counter
from pathlib import Path

from prefect import task

from nst_core.classifier.dataset import cut_tracks, save_segments
from nst_core.classifier.genres import GenreIndex, index_genres
from nst_core.config import SegmentConfig
from nst_core.errors import DatasetError
from tasks.jobs.training import SegmentJob
from tasks.running.caching import ArtefactPolicy, produce
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.storage.store import Json, Record
from tasks.unpack import passed_over


def describe_dataset(folder: str, *, sr: int, config: SegmentConfig) -> SegmentJob:
    """Index a dataset folder and return the job that cuts it.

    Raises
    ------
    DatasetError
        The folder does not contain at least two genres.
    """
    index = index_genres(folder)
    others = Counter(dict(index.passed_over)) + Counter(passed_over(Path(folder)))
    return SegmentJob(
        folder=folder,
        content=_content(index),
        sr=sr,
        config=config,
        passed_over=tuple(sorted(others.items())),
    )


def _content(index: GenreIndex) -> str:
    lines = sorted(
        f"{track.path.relative_to(index.root).as_posix()}\t{track.genre}\t{track.artist}\t"
        f"{track.sha256}"
        for track in index.tracks
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@task(name="segment-tracks", cache_policy=ArtefactPolicy(), **RETRIES)
def segment_tracks(job: SegmentJob, workspace: Workspace) -> Record:
    """Cut the tracks of a dataset; unreadable ones are listed in the record."""

    def make(path: Path) -> dict[str, Json]:
        index = index_genres(job.folder)
        if _content(index) != job.content:
            raise DatasetError(
                f'dataset "{index.root}" changed while the flow was running; run it again',
                code="dataset_changed",
            )
        segments = cut_tracks(index, job.sr, job.config, n_threads=workspace.n_threads)
        save_segments(path, segments)
        return {
            "n_segments": len(segments.y),
            "n_tracks": len(segments.tracks),
            "skipped": list(segments.skipped),
        }

    return produce(job, workspace, "npz", make)
