"""Twelve pairs for a listening test: each ambience with three kinds of music, and vice versa."""

from typing import NamedTuple

from nst_core.arrays import Waveform
from nst_core.config import MelConfig
from nst_core.synth.sounds import ambience, music_piece

LICENCE = "synthesised by AM-NST, Apache-2.0"
_AMBIENCE_S = 20.0
_SEED = 2000
"""Differs from the seeds of the demo, so that nobody knows these tunes."""


class ListeningPair(NamedTuple):
    """An ambience and a genre of `nst_core.synth.sounds`, and the seed of both sounds."""

    ambience: str
    genre: str
    seed: int

    def make(self, duration_s: float) -> tuple[Waveform, Waveform]:
        """Synthesise the music, `duration_s` long, and 20 s of the ambience, at 22,050 Hz."""
        sr = MelConfig.sr
        return (
            music_piece(self.genre, duration_s, seed=self.seed, sr=sr),
            ambience(self.ambience, _AMBIENCE_S, seed=self.seed, sr=sr),
        )


PAIRS = tuple(
    ListeningPair(kind, genre, _SEED + number)
    for number, (kind, genre) in enumerate(
        (
            ("rain", "folk"), ("fire", "rock"), ("wind", "chamber"), ("waves", "electronic"),
            ("rain", "chamber"), ("fire", "electronic"), ("wind", "folk"), ("waves", "rock"),
            ("rain", "electronic"), ("fire", "folk"), ("wind", "rock"), ("waves", "chamber"),
        )
    )
)  # fmt: skip
