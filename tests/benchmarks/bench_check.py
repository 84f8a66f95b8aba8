"""The figures of `bench_sound` on recordings that no setting was chosen on.

Run it once for each version whose settings are final, and note its figures and date in this
folder's README.md. Whoever chooses a setting by it has no judge left.
"""

from pathlib import Path

from nst_core.runtime.tensorflow_setup import setup_tensorflow
from tests.benchmarks.bench_sound import FOLDER, N_THREADS, ON_EVERY_PAIR, methods
from tests.benchmarks.judging import (
    FAULTS,
    FIGURES,
    ear_for,
    judged,
    mean,
    print_faults,
    print_header,
    print_worst,
)
from tests.benchmarks.pairs import load_pairs
from tests.benchmarks.pictures import draw_sheet

OTHER_SEED = 1
SHARES = (
    "ambience_heard", "music_heard", "content", "texture", "dt2", "follow", "onset_f1",
    "spectrum_moved", "sound_effect", "note_f1",
)  # fmt: skip
"""Figures of one scale, 0 to 1, so that their differences can be compared."""
MOST_DIFFERENCE = 0.03


def run(data: Path) -> dict:
    return compare(data, "check")


def compare(data: Path, split: str, *, n_pairs: int | None = None) -> dict:
    """Measure the listed pairs of a split, and the same recordings in other pairs."""
    setup_tensorflow(N_THREADS)
    ear, known = ear_for(data, split), methods()
    pairs = load_pairs(data, split, n_pairs=n_pairs)
    results, rendered = {}, {}
    print_header()
    for name in ON_EVERY_PAIR:
        results[name], rendered[name] = judged(name, known[name], pairs, ear)
    others = load_pairs(data, split, seed=OTHER_SEED, n_pairs=n_pairs)
    results["real, other pairs"], _ = judged("real, other pairs", known["real"], others, ear)
    print_faults(results)
    worst = print_worst(pairs, results["real"]["pairs"])
    chosen = ([each[i] for i in worst] for each in (pairs, rendered["real"]))
    draw_sheet(FOLDER / f"worst-{split}.png", *chosen, list(worst.values()))
    results["difference"] = _print_difference(
        results["real"]["pairs"], results["real, other pairs"]["pairs"]
    )
    return results


def _print_difference(listed: list[dict], others: list[dict]) -> dict[str, float]:
    """Print by how much the means of other pairs of the same recordings differ."""
    titles = FIGURES | FAULTS
    known = [name for name in SHARES if any(name in row for row in listed)]
    found = {name: mean(others, name) - mean(listed, name) for name in known}
    over = {name: by for name, by in found.items() if not abs(by) < MOST_DIFFERENCE}
    shown = ", ".join(f"{titles[name]} {by:+.3f}" for name, by in found.items())
    print(f"other pairs of the same recordings: {shown}")
    print(f"{len(over)} of {len(found)} differ by {MOST_DIFFERENCE} or more")
    return found
