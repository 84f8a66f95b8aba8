"""Files of the demo: a dataset, inputs and a manifest of synthesised sounds."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

from nst_core.arrays import Waveform
from nst_core.audio.writing import write_audio
from nst_core.config import MelConfig, TrainingConfig
from nst_core.synth.sounds import AMBIENCES, GENRES, ambience, music_piece

_TRACKS_PER_GENRE = 10
_TRACK_S = 9.0
_MUSIC_S = 12.0
_AMBIENCE_S = 10.0
_HELD_OUT_SEED = 1000
"""Seed of the music to render, so that it differs from all training tracks."""
_PAIRS = (
    ("rain", "folk", 1), ("fire", "rock", 1), ("wind", "chamber", 0.7), ("rain", "electronic", 1),
    ("waves", "folk", 1),
)  # fmt: skip
"""Ambience, music and strength that suit each other: all of them sound as meant."""

TRAINING = TrainingConfig(batch_size=16)


@dataclass(frozen=True)
class DemoFiles:
    """Paths of the files that `make_demo_files` made."""

    dataset: Path
    manifest: Path


def make_demo_files(folder: Path) -> DemoFiles:
    """Synthesise a genre dataset archive, music, ambiences and a manifest, once."""
    dataset = folder / "genres.tar"
    if not dataset.exists():
        _make_dataset(folder / "dataset", dataset)
    inputs = folder / "inputs"
    for kind in AMBIENCES:
        _write(inputs / f"{kind}.wav", ambience(kind, _AMBIENCE_S, seed=_HELD_OUT_SEED))
    for genre in GENRES:
        _write(inputs / f"{genre}.wav", music_piece(genre, _MUSIC_S, seed=_HELD_OUT_SEED))
    manifest = inputs / "manifest.csv"
    rows = [f"{kind}.wav,{genre}.wav,{strength}" for kind, genre, strength in _PAIRS]
    manifest.write_text("\n".join(["ambience,music,strength", *rows, ""]), "utf-8")
    return DemoFiles(dataset, manifest)


def _make_dataset(folder: Path, archive: Path) -> None:
    for genre in GENRES:
        for number in range(_TRACKS_PER_GENRE):
            name = f"genres/{genre}/{genre}.{number:05d}.wav"
            _write(folder / name, music_piece(genre, _TRACK_S, seed=number))
    unfinished = archive.with_suffix(".part")
    with tarfile.open(unfinished, "w") as tar:
        tar.add(folder / "genres", "genres")
    unfinished.replace(archive)


def _write(path: Path, y: Waveform) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        write_audio(unfinished, y, MelConfig.sr, format="wav")
        unfinished.replace(path)
