"""Invert a pair: turn a stylised mel into sound, and measure the sound."""

import dataclasses
from pathlib import Path

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import to_mono
from nst_core.metrics.small_picture import draw_small
from nst_core.runtime.memory import return_freed_memory
from nst_core.streaming.arrays import Sliceable, derive
from nst_core.streaming.resampling import at_rate
from nst_core.transfer.analysis import Recording, load_recording
from nst_core.transfer.rendering import render
from nst_core.transfer.stylisation import load_stylisation
from tasks.jobs.pair import PairJob, parts_of
from tasks.master import write_and_judge
from tasks.origin import origin_of
from tasks.running import handover as carriers
from tasks.running.caching import artefact, produce
from tasks.running.workspace import Workspace
from tasks.storage.store import Json, Record


def invert_pair(job: PairJob, workspace: Workspace) -> Record:
    """Render one pair and measure it; the record contains the figures."""

    def make(path: Path) -> dict[str, Json]:
        scratch = path.parent
        y, music, ambience = _rendered(job, workspace, scratch)
        sr = music.sr
        return_freed_memory()
        _draw(job, (ambience, music.y, y), sr, workspace)
        figures = write_and_judge(
            path,
            y,
            sr,
            job.output,
            music=music.y,
            ambience=ambience,
            strength=job.strength,
            n_threads=workspace.n_threads,
            origin=origin_of(job.origin, workspace),
            comment=job.comment,
            scratch=scratch,
        )
        return {**figures, "warnings": _warnings(job, workspace)}

    try:
        return produce(job.audio, workspace, job.output.format, make)
    finally:
        # Drop the carrier: it is not needed once the result is stored.
        carriers.forget(job.transfer.key, job.strength)


def _warnings(job: PairJob, workspace: Workspace) -> str:
    """Return what is unusual about the inputs, as one text."""
    found = [("music", job.music), *(("ambience", part) for part, _ in parts_of(job.ambience))]
    return "; ".join(
        f"{name}: {warning}"
        for name, source in found
        if (record := workspace.store.find(source.stage, source.key))
        for warning in record.meta.get("warnings", ())
    )


def _draw(
    job: PairJob, sounds: tuple[Sliceable, Sliceable, Sliceable], sr: int, workspace: Workspace
) -> None:
    """Draw the picture for the listening page while the sounds are at hand."""

    def make(path: Path) -> dict[str, Json]:
        draw_small(path, sounds, sr)
        return {}

    produce(job.picture, workspace, "webp", make)


def _rendered(
    pair: PairJob, workspace: Workspace, scratch: Path
) -> tuple[Sliceable, Recording, FloatArray]:
    """Return the sound of a pair, the music, and the ambience in mono, all at one rate."""
    with (
        artefact(pair.music, workspace) as music_path,
        artefact(pair.ambience, workspace) as ambience_path,
        artefact(pair.transfer, workspace) as stylised_path,
    ):
        music, ambience = load_recording(music_path), load_recording(ambience_path)
        stylisation = load_stylisation(stylised_path)
    at_hand = carriers.taken(pair.transfer.key, pair.strength)
    y = render(
        music.y,
        ambience.y,
        dataclasses.replace(stylisation, carriers=at_hand),
        pair.music.mel,
        pair.config,
        strength=pair.strength,
        music_sr=music.sr,
        ambience_sr=ambience.sr,
        n_threads=workspace.n_threads,
        scratch=scratch,
    )
    heard = derive(to_mono, ambience.y)
    return y, music, at_rate(heard, ambience.sr, music.sr, scratch=scratch)[:]
