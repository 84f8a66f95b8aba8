"""Invert a pair: a stylised mel becomes sound, and the sound is judged."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nst_core import ALGORITHM_VERSION
from nst_core.analysis import load_waveform
from nst_core.audio import to_mono
from nst_core.config import OutputConfig
from nst_core.mastering import write_master
from nst_core.memory import return_freed_memory
from nst_core.metrics import evaluate
from nst_core.rendering import load_stylisation, render
from nst_core.spool import Sliceable
from nst_core.stft import FloatArray
from tasks import carriers
from tasks.caching import Workspace, artefact, parameters, produce
from tasks.store import Json, Record, artefact_key
from tasks.transfer import TransferJob

_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class RenderJob:
    """One pair at its own strength, as the file a listener gets."""

    transfer: TransferJob
    output: OutputConfig

    stage = "audio"

    @cached_property
    def key(self) -> str:
        """Of the transfer, the strength and the file's format."""
        return artefact_key(
            self.stage,
            f"{ALGORITHM_VERSION}.{_VERSION}",
            {"strength": self.transfer.config.strength, "output": parameters(self.output)},
            [self.transfer.key],
        )


def invert_pair(job: RenderJob, workspace: Workspace) -> Record:
    """Render one pair and measure it; the figures are in the record."""

    def make(path: Path) -> dict[str, Json]:
        sr = job.transfer.music.mel.sr
        scratch = path.parent
        y, music, ambience = _rendered(job.transfer, workspace, scratch)
        return_freed_memory()
        levels = write_master(path, y, sr, job.output, scratch=scratch)
        figures = evaluate(y, music, ambience, sr, n_threads=workspace.n_threads)
        return {
            "duration_s": len(y) / sr,
            "sample_rate": job.output.sample_rate,
            **dataclasses.asdict(levels),
            **{name: round(value, 4) for name, value in dataclasses.asdict(figures).items()},
            "verdict": figures.verdict,
        }

    try:
        return produce(job, workspace, job.output.format, make)
    finally:
        # What is in the store needs no carrier, and none must be kept for nobody.
        carriers.forget(job.transfer.key, job.transfer.config.strength)


def _rendered(
    pair: TransferJob, workspace: Workspace, scratch: Path
) -> tuple[Sliceable, Sliceable, FloatArray]:
    """The sound of a pair, the music, and the ambience in mono."""
    with (
        artefact(pair.music, workspace) as music_path,
        artefact(pair.ambience, workspace) as ambience_path,
        artefact(pair, workspace) as stylised_path,
    ):
        music, ambience = load_waveform(music_path), load_waveform(ambience_path)[:]
        stylisation = load_stylisation(stylised_path)
    at_hand = carriers.taken(pair.key, pair.config.strength)
    y = render(
        music,
        ambience,
        dataclasses.replace(stylisation, carriers=at_hand),
        pair.music.mel,
        pair.config,
        n_threads=workspace.n_threads,
        scratch=scratch,
    )
    return y, music, to_mono(ambience)
