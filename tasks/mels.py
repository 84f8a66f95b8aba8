"""Compute mels: of a pair's inputs, and of a dataset's segments."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

from prefect import task

from nst_core.analysis import analyse, save_analysis
from nst_core.audio import LongAudio, read_long_audio
from nst_core.config import AudioLimits, MelConfig
from nst_core.dataset import analyse_segments, load_audio_segments, save_segments
from nst_core.errors import AudioError, NSTError, SignalError
from tasks.caching import ArtefactPolicy, Workspace, artefact, parameters, produce
from tasks.files import StorageError, fetch_input, is_remote, sha256_file
from tasks.retry import RETRIES, patiently
from tasks.segment import SegmentJob
from tasks.store import Json, Record, artefact_key

_ANALYSIS_VERSION = 5
_SEGMENT_MELS_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class AnalysisJob:
    """One input of one or many pairs: which file, which part of it, how analysed.

    `uri` says where to read, `sha256` what is read; the key holds only the latter.
    """

    uri: str
    sha256: str
    name: str
    """``music``, whose stereo is kept, or ``ambience``, which is mixed to mono."""
    start_s: float = 0.0
    duration_s: float | None = None
    mel: MelConfig = field(default_factory=MelConfig)

    stage = "mels"

    @cached_property
    def key(self) -> str:
        """Of the file's bytes, the section, what it is for, and the mel."""
        section = {"start_s": self.start_s, "duration_s": self.duration_s, "name": self.name}
        return artefact_key(
            self.stage, _ANALYSIS_VERSION, {**section, "mel": parameters(self.mel)}, [self.sha256]
        )


@dataclass(frozen=True, kw_only=True)
class SegmentMelJob:
    """The mels of a dataset's segments."""

    segments: SegmentJob
    mel: MelConfig = field(default_factory=MelConfig)

    stage = "segment-mels"

    @cached_property
    def key(self) -> str:
        """Of the segments and the mel."""
        return artefact_key(
            self.stage, _SEGMENT_MELS_VERSION, parameters(self.mel), [self.segments.key]
        )


@task(
    name="compute-mels", task_run_name="mels-{job.name}", cache_policy=ArtefactPolicy(), **RETRIES
)
def compute_mels(job: AnalysisJob, workspace: Workspace) -> Record:
    """Read, check and analyse one input."""

    def make(path: Path) -> dict[str, Json]:
        scratch = path.parent
        with fetch_input(job.uri, scratch) as source:
            audio = _read(job, source, scratch)
        name = f'{job.name} "{job.uri}"'
        save_analysis(path, analyse(audio.y, job.mel, name=name, scratch=scratch))
        return {"duration_s": len(audio.y) / job.mel.sr, "warnings": list(audio.warnings)}

    return produce(job, workspace, "npz", make)


def _read(job: AnalysisJob, source: Path, scratch: Path) -> LongAudio:
    if sha256_file(source) != job.sha256:
        reason = "was changed after the manifest was read; start the flow again"
        raise AudioError("changed", job.uri, reason)
    try:
        return read_long_audio(
            source,
            sr=job.mel.sr,
            mono=job.name == "ambience",
            start_s=job.start_s,
            duration_s=job.duration_s,
            at_most_s=AudioLimits.max_ambience_s if job.name == "ambience" else None,
            scratch=scratch,
        )
    except AudioError as error:
        # A remote file is read from a passing copy, whose name tells nobody anything.
        raise AudioError(error.code, job.uri, error.reason) from error


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


def identify_inputs(
    uris: Iterable[str], scratch: str, *, n_threads: int = 8
) -> dict[str, str | NSTError]:
    """Hash inputs: per URI its sha256, or the reason why it cannot be read.

    A missing file is the failure of the rows that name it, never of the others.
    """
    unique = list(dict.fromkeys(uris))
    with ThreadPoolExecutor(n_threads) as pool:
        return dict(zip(unique, pool.map(lambda uri: _identify(uri, scratch), unique), strict=True))


def identify_patiently(uris: Iterable[str], scratch: str) -> dict[str, str | NSTError]:
    """Hash inputs as `identify_inputs` does; wait for those whose server is away.

    They are waited for all together. What stays away for some minutes has that for a reason.
    """
    found = identify_inputs(uris, scratch)

    def ask() -> None:
        if away := [uri for uri, known in found.items() if _is_away(known)]:
            found.update(identify_inputs(away, scratch))
        for known in found.values():
            if _is_away(known):
                raise known

    with suppress(StorageError):  # it is told of in `found`
        patiently(ask)
    return found


def _is_away(known: str | NSTError) -> TypeGuard[StorageError]:
    return isinstance(known, StorageError) and known.transient


def _identify(uri: str, scratch: str) -> str | NSTError:
    try:
        if not is_remote(uri) and not Path(uri).is_file():
            kind = "is not a regular file" if Path(uri).exists() else "does not exist"
            return AudioError("not_found", uri, f"{kind}; correct the path in the manifest")
        with fetch_input(uri, Path(scratch)) as path:
            return sha256_file(path)
    except (StorageError, SignalError) as error:
        return error
    except OSError as error:
        return StorageError(uri, "read", str(error))
