"""Arrangement of a piece in each genre; `synth.music_piece` sets its level."""

from collections.abc import Callable

import numpy as np
from scipy import signal

from nst_core.synth.instruments import (
    Samples,
    bowed,
    cymbal,
    decay,
    hertz,
    kick,
    noise_band,
    place,
    plucked,
    reverb,
    snare,
    swell,
    tone,
)
from nst_core.synth.score import Note, Score


def play(genre: str, score: Score, n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Make the first `n` samples of a piece in one of `GENRES`, at any level."""
    y = np.zeros(n + sr // 4)
    _PLAYERS[genre](y, score, sr, rng)
    return y[:n]


def _play_chamber(y: Samples, score: Score, sr: int, rng: np.random.Generator) -> None:
    """Play strings under a harp: long bowed chords, a plucked tune, a soft drum, a hall."""
    for bar, chord in enumerate(score.chords):
        at = bar * score.bar_s
        for midi in (chord[0] - 12, *chord):
            place(y, bowed(Note(0.0, score.bar_s, midi, 0.22), sr), at, sr)
        for step, midi in enumerate((*chord, chord[1])):
            arpeggio = Note(0.0, score.beat_s, midi + 12, 0.16)
            place(y, plucked(arpeggio, sr, ring_s=0.5, bright=1.4), at + step * score.beat_s, sr)
        place(y, kick(sr), at, sr, 0.12)
    for note in score.melody:
        place(y, plucked(note, sr, ring_s=0.9, bright=1.0), note.start_s, sr, 0.55)
    y[:] = reverb(y, sr, time_s=0.45, wet=0.5, rng=rng)


def _play_electronic(y: Samples, score: Score, sr: int, rng: np.random.Generator) -> None:
    """Play four on the floor, a saw bass on the off-beats, pumping pads, a square lead."""
    n_beats = 4 * len(score.chords)
    pump = np.ones(len(y))
    dip = 1.0 - 0.8 * decay(round(score.beat_s * sr), sr, 0.12)
    drum, hat, clap = kick(sr), cymbal(sr, rng, time_s=0.03), snare(sr, rng)
    for beat in range(n_beats):
        start = round(beat * score.beat_s * sr)
        pump[start : start + len(dip)] = dip[: max(0, len(pump) - start)]
    for bar, chord in enumerate(score.chords):
        pad = sum(_saw(midi + 12 + off, score.bar_s, sr) for midi in chord for off in (-0.06, 0.06))
        place(y, np.asarray(pad), bar * score.bar_s, sr, 0.07)
        bass = _saw_bass(chord[0] - 12, 0.5 * score.beat_s, sr)
        for half in range(8):
            place(y, bass, bar * score.bar_s + half * score.beat_s / 2, sr, 0.4)
    for note in score.melody:
        lead = _square(note, sr)
        for echo in range(3):
            place(y, lead, note.start_s + 0.75 * echo * score.beat_s, sr, 0.22 * 0.4**echo)
    y *= pump
    for beat in range(n_beats):
        at = beat * score.beat_s
        place(y, drum, at, sr, 0.9)
        place(y, hat, at + 0.5 * score.beat_s, sr, 0.35)
        place(y, hat, at + 0.25 * score.beat_s, sr, 0.12)
        place(y, clap, at, sr, 0.4 * (beat % 2))


def _saw(midi: float, duration_s: float, sr: int) -> Samples:
    n = round(duration_s * sr)
    shape = swell(n, sr, 0.03, 0.05)
    return shape * tone(hertz(midi), n, sr, dark=1.5, bright=1.0, brightness=0.5)


def _saw_bass(midi: int, duration_s: float, sr: int) -> Samples:
    n = round(duration_s * sr)
    sweep = decay(n, sr, 0.06)
    shape = swell(n, sr, 0.004, 0.02)
    return shape * tone(hertz(midi), n, sr, dark=2.0, bright=0.9, brightness=sweep)


def _square(note: Note, sr: int) -> Samples:
    n = round(0.8 * note.duration_s * sr)
    shape = note.velocity * swell(n, sr, 0.004, 0.03) * (0.4 + 0.6 * decay(n, sr, 0.1))
    sweep = decay(n, sr, 0.15)
    f0 = hertz(note.midi)
    return shape * tone(f0, n, sr, dark=1.8, bright=1.0, brightness=sweep, odd_only=True)


def _play_rock(y: Samples, score: Score, sr: int, rng: np.random.Generator) -> None:
    """Play distorted fifths in eighths, a backbeat, a lead with vibrato."""
    guitar, lead = np.zeros(len(y)), np.zeros(len(y))
    accents = rng.choice([0.5, 1.0], size=8)
    for bar, chord in enumerate(score.chords):
        strum = _power_chord(chord[0], score.beat_s * 0.55, sr)
        for half in range(8):
            at = bar * score.bar_s + half * score.beat_s / 2
            place(guitar, strum, at, sr, float(accents[half]))
    for note in score.melody:
        n = round(note.duration_s * sr)
        shape = note.velocity * swell(n, sr, 0.01, 0.04)
        f0 = hertz(note.midi)
        place(
            lead,
            shape * tone(f0, n, sr, dark=1.3, bright=0.9, brightness=0.5, vibrato=0.01),
            note.start_s,
            sr,
        )
    y += 0.34 * _cabinet(np.tanh(4.0 * guitar), sr) + 0.3 * _cabinet(np.tanh(3.0 * lead), sr)
    _backbeat(y, score, sr, rng)


def _power_chord(midi: int, duration_s: float, sr: int) -> Samples:
    n = round(duration_s * sr)
    shape = swell(n, sr, 0.004, 0.02) * (0.45 + 0.55 * decay(n, sr, 0.12))
    strings = [
        tone(hertz(midi - 12 + step), n, sr, dark=1.2, bright=1.0, brightness=0.5)
        for step in (0, 7, 12)
    ]
    chord: Samples = shape * np.sum(strings, axis=0) / 2
    return chord


def _cabinet(y: Samples, sr: int) -> Samples:
    speaker = signal.butter(2, (90.0, min(4500.0, 0.45 * sr)), "bandpass", fs=sr, output="sos")
    heard: Samples = signal.sosfilt(speaker, y)
    return heard


def _backbeat(y: Samples, score: Score, sr: int, rng: np.random.Generator) -> None:
    bass, snap, crash = kick(sr), snare(sr, rng), cymbal(sr, rng, time_s=0.4)
    hat = cymbal(sr, rng, time_s=0.04)
    extra = float(rng.choice([1.5, 2.5, 3.5]))
    for bar in range(len(score.chords)):
        for beat, sound, gain in (
            (0.0, bass, 0.9), (2.0, bass, 0.8), (extra, bass, 0.6),
            (1.0, snap, 0.8), (3.0, snap, 0.85), (0.0, crash, 0.5 * (bar % 4 == 0)),
        ):  # fmt: skip
            place(y, sound, bar * score.bar_s + beat * score.beat_s, sr, gain)
        for half in range(8):
            at = bar * score.bar_s + half * score.beat_s / 2
            place(y, hat, at, sr, 0.2 + 0.1 * (half % 2 == 0))


def _play_folk(y: Samples, score: Score, sr: int, rng: np.random.Generator) -> None:
    """Play a strummed guitar, a flute tune, a shaker."""
    pattern = (0.0, 1.0, 1.5, 2.5, 3.0, 3.5) if rng.random() < 0.5 else (0.0, 1.0, 2.0, 2.5, 3.0)
    strums = {chord: _strum(chord, sr) for chord in set(score.chords)}
    shaker = cymbal(sr, rng, time_s=0.025)
    for bar, chord in enumerate(score.chords):
        at = bar * score.bar_s
        for beat in pattern:
            gain = 0.22 if beat == int(beat) else 0.14
            place(y, strums[chord], at + beat * score.beat_s, sr, gain * rng.uniform(0.8, 1.1))
        for half in range(8):
            place(y, shaker, at + half * score.beat_s / 2, sr, 0.1 + 0.12 * (half % 4 == 2))
        place(y, kick(sr), at, sr, 0.25)
        place(y, kick(sr), at + 2 * score.beat_s, sr, 0.2)
    for note in score.melody:
        place(y, _flute(note, sr, rng), note.start_s, sr, 0.35)
    y[:] = reverb(y, sr, time_s=0.15, wet=0.2, rng=rng)


def _strum(chord: tuple[int, int, int], sr: int) -> Samples:
    root, third, fifth = chord
    strings = (root - 12, fifth - 12, root, third, fifth, root + 12)
    y = np.zeros(round(1.3 * sr))
    for i, midi in enumerate(strings):
        string = plucked(Note(0.0, 0.2, midi, 0.8), sr, ring_s=1.0, bright=0.8)
        place(y, string, 0.012 * i, sr)
    return y


def _flute(note: Note, sr: int, rng: np.random.Generator) -> Samples:
    n = round(note.duration_s * sr)
    shape = note.velocity * swell(n, sr, 0.05, 0.06)
    f0 = hertz(note.midi)
    pipe = tone(f0, n, sr, dark=3.5, bright=2.2, brightness=0.5 * shape, vibrato=0.004)
    return shape * (pipe + 0.08 * noise_band(n, sr, (1500.0, 6000.0), rng))


_PLAYERS: dict[str, Callable[[Samples, Score, int, np.random.Generator], None]] = {
    "chamber": _play_chamber,
    "electronic": _play_electronic,
    "folk": _play_folk,
    "rock": _play_rock,
}
GENRES = tuple(_PLAYERS)
