"""Generated pieces of music as notes and chords.

Pitches are MIDI numbers (69 is 440 Hz), times are seconds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
_BEATS = 4


class Note(NamedTuple):
    """Tone: its start, duration, pitch and velocity (0..1)."""

    start_s: float
    duration_s: float
    midi: int
    velocity: float


@dataclass(frozen=True)
class Score:
    """Piece in 4/4: one chord per bar, and a melody over them."""

    bpm: float
    chords: tuple[tuple[int, int, int], ...]
    """Root, third and fifth of each bar, in the octave above MIDI 48."""
    melody: tuple[Note, ...]

    @property
    def beat_s(self) -> float:
        """Seconds per beat."""
        return 60.0 / self.bpm

    @property
    def bar_s(self) -> float:
        """Seconds per bar of four beats."""
        return _BEATS * self.beat_s


@dataclass(frozen=True)
class Idiom:
    """Traits that all pieces of a genre share."""

    bpm: tuple[float, float]
    scale: tuple[int, ...]
    progressions: tuple[tuple[int, ...], ...]
    """Scale degrees of the chords, 0 is the tonic."""
    rhythms: tuple[tuple[float, ...], ...]
    """Bars of note lengths in beats; a negative one is a rest."""
    melody_octave: int = 1
    leap: int = 2
    """Largest usual step of the melody, in scale degrees."""


IDIOMS = {
    "chamber": Idiom(
        bpm=(66, 92),
        scale=_MAJOR,
        progressions=((0, 4, 5, 2, 3, 0, 3, 4), (0, 3, 4, 0), (0, 5, 3, 4), (0, 5, 1, 4)),
        rhythms=((1, 0.5, 0.5, 1, 1), (1.5, 0.5, 2), (2, 1, 1), (0.5, 0.5, 0.5, 0.5, 2)),
    ),
    "electronic": Idiom(
        bpm=(118, 132),
        scale=_MINOR,
        progressions=((0, 5, 2, 6), (0, 0, 5, 6), (0, 3, 5, 4), (5, 6, 0, 0)),
        rhythms=((0.75, 0.75, 0.5, 0.75, 0.75, 0.5), (0.5,) * 8, (0.75, 0.75, 1.5, -1)),
        leap=4,
    ),
    "rock": Idiom(
        bpm=(104, 148),
        scale=_MINOR,
        progressions=((0, 5, 6, 0), (0, 2, 6, 3), (0, 6, 5, 6), (0, 3, 0, 4)),
        rhythms=((1, 1, 0.5, 0.5, 1), (-1, 1, 1, 1), (0.5, 0.5, 1, 1.5, 0.5), (2, -2)),
    ),
    "folk": Idiom(
        bpm=(84, 116),
        scale=_MAJOR,
        progressions=((0, 4, 5, 3), (0, 3, 0, 4), (0, 3, 4, 3), (5, 3, 0, 4)),
        rhythms=((1, 0.5, 0.5, 1, -1), (0.5, 0.5, 1, 1, 1), (1.5, 0.5, 1.5, 0.5)),
        melody_octave=2,
    ),
}


def compose(genre: str, duration_s: float, *, seed: int) -> Score:
    """Generate a piece of at least `duration_s`; each seed gives another piece.

    Key, tempo, progression, rhythm and melody are random; strong beats get chord tones.

    Raises
    ------
    KeyError
        For a genre that is not in `IDIOMS`.
    """
    idiom = IDIOMS[genre]
    rng = np.random.default_rng([seed, *genre.encode()])
    bpm = float(rng.uniform(*idiom.bpm))
    key = 48 + int(rng.integers(12))
    n_bars = int(np.ceil(duration_s / (_BEATS * 60.0 / bpm)))
    progression = idiom.progressions[rng.integers(len(idiom.progressions))]
    degrees = [progression[bar % len(progression)] for bar in range(n_bars)]
    chords = tuple(_triad(idiom, key, degree) for degree in degrees)
    melody = _melody(idiom, key, degrees, 60.0 / bpm, rng)
    return Score(bpm=bpm, chords=chords, melody=tuple(melody))


def _pitch(idiom: Idiom, key: int, degree: int) -> int:
    octave, step = divmod(degree, len(idiom.scale))
    return key + 12 * octave + idiom.scale[step]


def _triad(idiom: Idiom, key: int, degree: int) -> tuple[int, int, int]:
    root, third, fifth = (_pitch(idiom, key, degree + step) for step in (0, 2, 4))
    down = 12 * ((root - 48) // 12)
    return root - down, third - down, fifth - down


def _melody(
    idiom: Idiom, key: int, degrees: list[int], beat_s: float, rng: np.random.Generator
) -> list[Note]:
    base = 12 * idiom.melody_octave + key - 12 * int(key >= 54)
    # Two bars of rhythm that repeat turn the notes into a tune.
    motif = [idiom.rhythms[i] for i in rng.integers(len(idiom.rhythms), size=2)]
    notes: list[Note] = []
    at = int(rng.integers(0, 5))
    for bar, chord in enumerate(degrees):
        beat = 0.0
        for length in motif[bar % 2]:
            if length > 0:
                at = _next_degree(at, chord, strong=beat % 1 == 0, leap=idiom.leap, rng=rng)
                velocity = float(rng.uniform(0.7, 1.0))
                start_s = (bar * _BEATS + beat) * beat_s
                notes.append(Note(start_s, length * beat_s, _pitch(idiom, base, at), velocity))
            beat += abs(length)
    return notes


def _next_degree(at: int, chord: int, *, strong: bool, leap: int, rng: np.random.Generator) -> int:
    wish = int(np.clip(at + rng.integers(-leap, leap + 1), -1, 8))
    if not strong:
        return wish
    tones = [degree for degree in range(-1, 9) if (degree - chord) % 7 in (0, 2, 4)]
    return min(tones, key=lambda tone: abs(tone - wish))
