"""What each control of the sound does: the figure that it is meant to move, on real pairs.

Draws `build/benchmarks/controls.png`. The other settings are the default's, at strength 1.
"""

import dataclasses
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy.ndimage import gaussian_filter1d

from nst_core.config import controls, preset
from nst_core.metrics.scores import evaluate
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.streaming.resampling import resample
from nst_core.transfer.end_to_end import transfer_arrays
from tests.benchmarks.bench_sound import FOLDER, N_THREADS
from tests.benchmarks.judging import ear_for
from tests.benchmarks.pairs import SR, Pair, load_pairs

N_PAIRS = 4
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
SLOW_S = 0.25
FIGURES = {
    "strength": ("content", "content C"),
    "excitation": ("music_heard", "the music's instruments heard (ear)"),
    "timbre": ("spectrum_moved", "long-term spectrum moved, LTAS"),
    "grain": ("texture", "texture dTM"),
    "attack": ("onset_f1", "onset F1"),
    "swell": ("swell", "slow level follows the ambience's (correlation)"),
    "wet": ("carrier_db", "carrier in dB"),
}
"""Of each control: the figure that it moves, and its title."""


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    pairs, ear = load_pairs(data, "tune", n_pairs=N_PAIRS), ear_for(data, "tune")
    results: dict[str, list[float]] = {}
    print(f"{'control':<12}{'figure':<50}" + "".join(f"{step:8g}" for step in STEPS))
    for name, (figure, title) in FIGURES.items():
        results[name] = [_mean(name, value, figure, pairs, ear) for value in _values(name)]
        print(f"{name:<12}{title:<50}" + "".join(f"{x:8.2f}" for x in results[name]), flush=True)
    _draw(FOLDER / "controls.png", results)
    return results


def _values(name: str) -> list[float]:
    """Return five values over the control's range; grain's ends at 2."""
    most = 2.0 if name == "grain" else 1.0
    return [most * step for step in STEPS]


def _mean(name: str, value: float, figure: str, pairs: list[Pair], ear) -> float:
    strength = value if name == "strength" else 1.0
    config = preset("real", **({} if name == "strength" else {name: value}))
    found = []
    for pair in pairs:
        y = transfer_arrays(
            pair.music, pair.ambience, sr=pair.sr, config=config, strength=strength,
            n_threads=N_THREADS,
        )  # fmt: skip
        heard, of = resample(y, pair.sr, SR), pair.judged
        if figure == "music_heard":
            found.append(ear.identity(heard, pair.ambience_name, of.reference, of.music)[1])
        elif figure == "swell":
            found.append(_follows_slowly(heard, of))
        else:
            found.append(dataclasses.asdict(evaluate(heard, of.music, of.reference, SR))[figure])
    return float(np.nanmean(found))


def _follows_slowly(y: np.ndarray, pair: Pair) -> float:
    """Correlate the slow level of the result over the music's with that of the ambience."""

    def slow_db(x: np.ndarray) -> np.ndarray:
        blocks = x[: len(x) // 256 * 256].reshape(-1, 256)
        power = np.square(blocks, dtype=float).mean(axis=1)
        smooth = gaussian_filter1d(power, SLOW_S * SR / 256)
        return 10 * np.log10(smooth + 1e-4 * smooth.mean())

    added = slow_db(y) - slow_db(pair.music)
    return float(np.corrcoef(added, slow_db(pair.looped))[0, 1])


def _draw(path: Path, results: dict[str, list[float]]) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # after the backend is chosen

    defaults = {"strength": 1.0, **controls(preset("real"))}
    figure, axes = plt.subplots(2, 4, figsize=(13, 5.5), layout="constrained")
    for name, axis in zip(results, axes.flat, strict=False):
        axis.plot(_values(name), results[name], "o-")
        axis.axvline(defaults[name], lw=0.8, ls=":", color="grey")
        axis.set(xlabel=name, title=FIGURES[name][1])
        axis.title.set_fontsize(9)
    for axis in axes.flat[len(results) :]:
        axis.axis("off")
    figure.savefig(path, dpi=80)
    plt.close(figure)
