"""The real pairs of the benchmarks of sound, in full band."""

import csv
import dataclasses
from functools import cached_property
from pathlib import Path

import numpy as np

from nst_core.audio.loudness import set_rms
from nst_core.audio.reading import read_audio
from nst_core.config import LEVEL, MelConfig
from nst_core.streaming.resampling import resample
from nst_core.transfer.looping import loop_to_length

SR = MelConfig().sr
"""Rate of the judged figures in Hz."""
FULL_SR = 44_100
"""Rate of the pairs: what the music is transferred at, and what treble and loudness need."""
START_S, DURATION_S = 5.0, 10.0
SPLITS = ("tune", "check")
_MOST_DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class Pair:
    """Music, the half of the ambience that is used, and the half that judges; RMS 0.1."""

    name: str
    music: np.ndarray
    ambience: np.ndarray
    reference: np.ndarray
    sr: int = SR

    @property
    def ambience_name(self) -> str:
        return self.name.partition(" x ")[0]

    @property
    def looped(self) -> np.ndarray:
        return loop_to_length(self.ambience, len(self.music), self.sr)

    @cached_property
    def judged(self) -> "Pair":
        """The same pair at the rate of the judged figures."""
        sounds = (self.music, self.ambience, self.reference)
        return Pair(self.name, *(set_rms(resample(y, self.sr, SR), LEVEL) for y in sounds))


def load_pairs(
    data: Path, split: str, *, seed: int = 0, n_pairs: int | None = None, sr: int = FULL_SR
) -> list[Pair]:
    """Load the pairs of `tune` or `check`; no recording is in both.

    Parameters
    ----------
    split
        One of `SPLITS`.
    seed
        0: the listed pairs. Another: the same recordings in other pairs, none of them listed.
    n_pairs
        Only the first so many; any first part of the list is spread as the whole is.
    sr
        Hz.
    """
    with (data / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split]
    named = [(Path(row["ambience"]).stem, Path(row["music"]).stem) for row in rows]
    if seed:
        named = other_pairs(named, seed)
    return [load_pair(data, *names, sr=sr) for names in named[:n_pairs]]


def other_pairs(named: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """Draw other pairs of ambience and music: each name as often, no listed pair, none twice."""
    rng = np.random.default_rng(seed)
    listed = set(named)
    ambiences, musics = zip(*named, strict=True)
    for _ in range(_MOST_DRAWS):
        drawn = _without_repeats(list(ambiences), musics, listed, rng)
        if drawn is not None:
            return drawn
    raise ValueError(f"no other pairs of {len(named)} found with seed {seed}; use another seed")


def _without_repeats(ambiences, musics, listed, rng):
    """Give each music a random ambience that is not taken; None if the last ones do not fit."""
    drawn: list[tuple[str, str]] = []
    for music in musics:
        free = [i for i, each in enumerate(ambiences) if (each, music) not in {*listed, *drawn}]
        if not free:
            return None
        drawn.append((ambiences.pop(rng.choice(free)), music))
    return drawn


def load_pair(data: Path, ambience: str, music: str, *, sr: int = SR) -> Pair:
    section = {"sr": sr, "mono": True, "start_s": START_S, "duration_s": DURATION_S}
    y = read_audio(data / "music" / f"{music}.ogg", **section).y
    texture = read_audio(data / "ambience" / f"{ambience}.ogg", sr=sr, mono=True).y
    half = min(len(texture) // 2, len(y))
    return Pair(
        f"{ambience} x {music}",
        *(set_rms(x, LEVEL) for x in (y, texture[:half], texture[len(texture) // 2 :][:half])),
        sr,
    )
