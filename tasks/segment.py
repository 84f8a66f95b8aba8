"""Segment tracks: a dataset folder becomes 3-s pieces of sound."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from prefect import task

from nst_core.config import MelConfig, SegmentConfig
from nst_core.dataset import cut_tracks, save_segments
from nst_core.errors import DatasetError
from nst_core.genres import GenreIndex, index_genres
from tasks.caching import ArtefactPolicy, Workspace, parameters, produce
from tasks.retry import RETRIES
from tasks.store import Json, Record, artefact_key

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """A dataset to cut.

    `folder` says where to read, `content` what is read; the key holds only the latter.
    """

    folder: str
    content: str
    sr: int = MelConfig.sr
    config: SegmentConfig = field(default_factory=SegmentConfig)

    stage = "segments"

    @property
    def key(self) -> str:
        """Of the tracks' bytes, genres and artists, and of the windows."""
        settings = {"sr": self.sr, **parameters(self.config)}
        return artefact_key(self.stage, _VERSION, settings, [self.content])


def describe_dataset(folder: str, *, sr: int, config: SegmentConfig) -> SegmentJob:
    """Index a dataset folder and return the job that cuts it.

    Raises
    ------
    DatasetError
        When it is no folder of at least two genres.
    """
    index = index_genres(folder)
    return SegmentJob(folder=folder, content=_content(index), sr=sr, config=config)


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
                f'dataset "{index.root}" was changed meanwhile; start the flow again',
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
