"""What the benchmarks of sound measure on a result, and the tables that they print."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nst_core.audio.loudness import set_rms
from nst_core.audio.reading import read_audio
from nst_core.config import LEVEL
from nst_core.config.gates import GATES
from nst_core.metrics.scores import evaluate, high_share
from nst_core.streaming.resampling import resample
from tests.benchmarks import artefacts, notes, sound_effects
from tests.benchmarks.identity import Ear, trained_ear
from tests.benchmarks.pairs import SR, Pair, load_pairs
from tests.demodulation import demodulated_texture_moved

Method = Callable[[Pair], np.ndarray]
"""Renders a pair at the pair's rate."""
N_WORST = 10
MUSIC_FOR_EAR = {"emotify": 3, "gtzan_mini": 1}
"""Datasets of which every n-th piece trains the ear."""
EAR_MUSIC_S = 15.0
FIGURES = {
    "ambience_heard": "amb", "music_heard": "mus", "identity": "id",
    "content": "C", "texture": "dTM", "dt2": "dT2", "carrier_db": "carrier", "follow": "fB",
    "onset_f1": "onset F1", "spectrum_moved": "LTAS", "hiss": "> 6 kHz",
}  # fmt: skip
FAULTS = {
    "pre_echo_db": "pre-echo", "hiss_db": "hiss", "rumble_db": "< 25 Hz",
    "pumping_db": "pumping", "ringing_db": "ringing", "loudness_lu": "LU",
    "treble_db": "> 11 kHz", "sound_effect": "effect", "note_f1": "notes",
}  # fmt: skip
"""The last two are of optional judges."""


def ear_for(data: Path, split: str) -> Ear:
    """Train an ear for the ambiences of a split, in minutes, or take the one of an earlier run."""
    halves = {pair.ambience_name: pair.reference for pair in load_pairs(data, split, sr=SR)}
    path = Path(f"build/benchmarks/ear-{split}.keras")
    if path.is_file():
        return trained_ear(halves, [], path)
    section = {"sr": SR, "mono": True, "duration_s": EAR_MUSIC_S}
    files = [
        piece for name, step in MUSIC_FOR_EAR.items()
        for piece in sorted((data / "genres" / name).rglob("*.ogg"))[::step]
    ]  # fmt: skip
    music = [read_audio(piece, **section).y for piece in files]
    return trained_ear(halves, music, path)


def judged(
    name: str, method: Method, pairs: Sequence[Pair], ear: Ear
) -> tuple[dict, list[np.ndarray]]:
    """Render pairs by a method and print a row of the table; return the figures and the sounds."""
    started = time.perf_counter()
    rendered = [method(pair) for pair in pairs]
    seconds = (time.perf_counter() - started) / len(pairs)
    rows = [_judge(y, pair, ear) for y, pair in zip(rendered, pairs, strict=True)]
    print_row(name, rows, FIGURES)
    return {"pairs": rows, "seconds_per_pair": seconds}, rendered


def _judge(y: np.ndarray, full: Pair, ear: Ear) -> dict[str, float]:
    """Return the figures that this pair has, at the judged rate or in the full band."""
    pair, heard = full.judged, set_rms(resample(y, full.sr, SR), LEVEL)
    metrics = evaluate(heard, pair.music, pair.reference, SR)
    found = dataclasses.asdict(metrics)
    found["passes"] = all(found[gate] >= least for gate, least in GATES.items())
    found["dt2"] = demodulated_texture_moved(heard, pair.music, pair.reference, SR)
    found["ambience_heard"], found["music_heard"] = ear.identity(
        heard, pair.ambience_name, pair.reference, pair.music
    )
    inputs = (pair.music, pair.ambience, pair.reference)
    found["hiss"] = found["high_share"] - max(high_share(x, SR) for x in inputs)
    found |= artefacts.faults(heard, pair.music, pair.looped, SR)
    found["loudness_lu"] = artefacts.loudness_lu(y, full.music, full.sr)
    found["treble_db"] = artefacts.treble_db(y, full.ambience, full.sr)
    if not sound_effects.missing():
        found["sound_effect"] = sound_effects.likeness(
            y, full.music, full.ambience, full.reference, full.sr
        )
    if not notes.missing():
        found["note_f1"] = notes.note_f1(heard, pair.music, SR)
    return {name: value for name, value in found.items() if not np.isnan(value)}


def print_header(figures: dict[str, str] = FIGURES) -> None:
    last = ["pass"] if figures is FIGURES else []
    print(f"{'':<22}" + "".join(f"{title:>10}" for title in [*figures.values(), *last]))


def print_row(name: str, rows: Sequence[dict[str, float]], figures: dict[str, str]) -> None:
    """Print the means over the pairs that have a figure."""
    means = [mean(rows, figure) for figure in figures]
    listed = "".join(f"{'-':>10}" if np.isnan(each) else f"{each:10.3f}" for each in means)
    last = f"{mean(rows, 'passes'):10.0%}" if figures is FIGURES else ""
    print(f"{name:<22}{listed}{last}", flush=True)


def print_faults(results: dict[str, dict]) -> None:
    """Print the second table, of what the first has no room for."""
    print_header(FAULTS)
    for name, found in results.items():
        print_row(name, found["pairs"], FAULTS)
    for judge in (sound_effects, notes):
        if absent := judge.missing():
            print(f"not judged: {', '.join(absent)} not installed (tests/benchmarks/README.md)")


def mean(rows: Sequence[dict[str, float]], figure: str) -> float:
    """Return the mean over the pairs that have a figure; NaN if none has."""
    values = [row[figure] for row in rows if not np.isnan(row.get(figure, np.nan))]
    return float(np.mean(values)) if values else float("nan")


def print_worst(pairs: Sequence[Pair], rows: Sequence[dict[str, float]]) -> dict[int, str]:
    """Print the pairs that miss a gate by most, or that come closest to it.

    Returns
    -------
    Index of each of these pairs and what was printed of it.
    """
    margin = [min(row[gate] / least for gate, least in GATES.items()) for row in rows]
    worst = {}
    for i in map(int, np.argsort(margin)[:N_WORST]):
        figures = ", ".join(f"{FIGURES[gate]} {rows[i][gate]:.2f}" for gate in GATES)
        worst[i] = f"{pairs[i].name}: {figures}"
        print(f"worst: {worst[i]}")
    return worst
