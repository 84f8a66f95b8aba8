"""Does the ambience play the music? Real pairs of 10 s, all methods, one table.

The reference of every figure is the half of the ambience that no method hears. Settings are
chosen on the split `tune` alone; `bench_check` judges the same figures on other recordings.
"""

import csv
import dataclasses
import time
from pathlib import Path

import librosa.display
import matplotlib as mpl
import numpy as np

from nst_core.audio.loudness import set_rms
from nst_core.audio.reading import read_audio
from nst_core.classifier.network import build_classifier
from nst_core.classifier.saving import load_classifier
from nst_core.classifier.taps import feature_taps
from nst_core.config import (
    LEVEL,
    CarrierConfig,
    ClassifierConfig,
    InversionConfig,
    MelConfig,
    preset,
)
from nst_core.config.gates import GATES
from nst_core.metrics.scores import evaluate, high_share
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.spectral.mel import power_mel
from nst_core.spectral.mel_inversion import mel_to_audio
from nst_core.transfer.analysis import analyse
from nst_core.transfer.end_to_end import transfer_style
from nst_core.transfer.looping import loop_to_length
from tests import cheats
from tests.benchmarks import notes, peers
from tests.benchmarks.identity import Ear, trained_ear
from tests.demodulation import demodulated_texture_moved

N_THREADS = 2
SR = MelConfig().sr
START_S, DURATION_S = 5.0, 10.0
SPLITS = ("tune", "check")
N_FOR_ALL_METHODS = 20
"""Any first part of the list of pairs is spread as the whole is."""
ON_EVERY_PAIR = ("real", "closed", "music", "mix", "mix, more ambience")
ULYANOV_PAIRS = 2
"""The peer takes minutes a pair."""
STRENGTH_PAIRS = 16
PICTURED = (10, 13, 18)
PICTURES = Path(__file__).parents[2] / "docs" / "images"
N_WORST = 10
MUSIC_FOR_EAR = {"emotify": 3, "gtzan_mini": 1}
"""Datasets of which every n-th piece trains the ear."""
EAR_MUSIC_S = 15.0
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
FIGURES = {
    "ambience_heard": "amb", "music_heard": "mus",
    "content": "C", "texture": "dTM", "dt2": "dT2", "carrier_db": "carrier", "follow": "fB",
    "onset_f1": "onset F1", "spectrum_moved": "LTAS", "hiss": "> 6 kHz",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Pair:
    """Music, the half of the ambience that is used, and the half that judges; RMS 0.1."""

    name: str
    music: np.ndarray
    ambience: np.ndarray
    reference: np.ndarray

    @property
    def ambience_name(self) -> str:
        return self.name.partition(" x ")[0]

    @property
    def looped(self):
        return loop_to_length(self.ambience, len(self.music), SR)


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    pairs = load_pairs(data, "tune")
    ear = ear_for(data, "tune")
    results, rendered = {}, {}
    print_header()
    for name, method in methods().items():
        chosen = pairs if name in ON_EVERY_PAIR else pairs[:N_FOR_ALL_METHODS]
        if name == "Ulyanov 2016":
            chosen = pairs[:ULYANOV_PAIRS]
        results[name], rendered[name] = judged(name, method, chosen, ear)
    print_worst(pairs, results["real"]["pairs"])
    results["strength"] = _strengths(pairs[:STRENGTH_PAIRS])
    folder = Path("build/benchmarks")
    _plot_plane(PICTURES / "sound.png", results)
    _plot_mels(
        folder / "mels.png", *([each[i] for i in PICTURED] for each in (pairs, rendered["real"]))
    )
    _shrink(folder / "mels.png", PICTURES / "mels.png")
    results["notes"] = _notes(pairs[:N_FOR_ALL_METHODS], rendered["real"])
    return results


def load_pairs(data: Path, split: str) -> list[Pair]:
    """Load the pairs of `tune` or `check`; no recording is in both."""
    with (data / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split]
    return [load_pair(data, Path(row["ambience"]).stem, Path(row["music"]).stem) for row in rows]


def load_pair(data: Path, ambience: str, music: str) -> Pair:
    section = {"sr": SR, "mono": True, "start_s": START_S, "duration_s": DURATION_S}
    y = read_audio(data / "music" / f"{music}.ogg", **section).y
    texture = read_audio(data / "ambience" / f"{ambience}.ogg", sr=SR, mono=True).y
    half = min(len(texture) // 2, len(y))
    return Pair(
        f"{ambience} x {music}",
        *(set_rms(x, LEVEL) for x in (y, texture[:half], texture[len(texture) // 2 :][:half])),
    )


def ear_for(data: Path, split: str) -> Ear:
    """Train an ear for the ambiences of a split, in minutes, or take the one of an earlier run."""
    halves = {pair.ambience_name: pair.reference for pair in load_pairs(data, split)}
    section = {"sr": SR, "mono": True, "duration_s": EAR_MUSIC_S}
    files = [
        path for name, step in MUSIC_FOR_EAR.items()
        for path in sorted((data / "genres" / name).rglob("*.ogg"))[::step]
    ]  # fmt: skip
    music = [read_audio(path, **section).y for path in files]
    return trained_ear(halves, music, Path(f"build/benchmarks/ear-{split}.keras"))


def methods():
    random = dataclasses.replace(load_classifier(), taps=_random_taps())

    def ours(name, classifier=None, **changes):
        config = preset(name, **changes)
        return lambda pair: transfer_style(
            pair.music, pair.ambience, sr=SR, config=config, strength=1.0,
            classifier=classifier, n_threads=N_THREADS,
        )  # fmt: skip

    def peer(function):
        return lambda pair: function(pair.music, pair.looped, SR)

    real = ours("real")
    return {
        "real": real,
        "closed": ours("closed"),
        "music": lambda pair: pair.music,
        "mix": peer(cheats.mix),
        "mix, more ambience": lambda pair: set_rms(pair.music + 2 * pair.looped),
        "real, random net": ours("real", random),
        "real, no net": ours("real", style_layers=("input",)),
        "real, no excitation": ours("real", carrier=CarrierConfig(excitation=0.0)),
        "mel": ours("mel"),
        "original": ours("original"),
        "EQ + mix": peer(cheats.eq_mix),
        "side-chained mix": peer(cheats.side_chain),
        "vocoder": peer(cheats.vocoder),
        "EQ": peer(cheats.eq),
        "mel round trip": peer(cheats.mel_round_trip),
        "50:50 crossfade": lambda pair: cheats.crossfade(pair.music, real(pair)),
        "positive control": peer(cheats.under_envelopes),
        "Ulyanov 2016": peer(peers.ulyanov),
    }


def judged(name: str, method, pairs: list[Pair], ear: Ear) -> tuple[dict, list[np.ndarray]]:
    """Render pairs by a method and print a row of the table; return the figures and the sounds."""
    started = time.perf_counter()
    rendered = [method(pair) for pair in pairs]
    seconds = (time.perf_counter() - started) / len(pairs)
    rows = [_judge(y, pair, ear) for y, pair in zip(rendered, pairs, strict=True)]
    _print_row(name, rows)
    return {"pairs": rows, "seconds_per_pair": seconds}, rendered


def _random_taps():
    """The default architecture, never trained, with the trained input statistics."""
    taps = load_classifier().taps
    network = build_classifier(ClassifierConfig(), n_mels=MelConfig().n_mels, n_classes=4, seed=1)
    untrained = feature_taps(network)
    return dataclasses.replace(taps, kernels=untrained.kernels, biases=untrained.biases)


def _judge(y: np.ndarray, pair: Pair, ear: Ear) -> dict[str, float]:
    metrics = evaluate(y, pair.music, pair.reference, SR)
    found = dataclasses.asdict(metrics)
    found["passes"] = all(found[gate] >= least for gate, least in GATES.items())
    found["dt2"] = demodulated_texture_moved(set_rms(y, LEVEL), pair.music, pair.reference, SR)
    heard = ear.identity(y, pair.ambience_name, pair.reference, pair.music)
    found["ambience_heard"], found["music_heard"] = heard
    inputs = (pair.music, pair.ambience, pair.reference)
    found["hiss"] = found["high_share"] - max(high_share(x, SR) for x in inputs)
    return found


def print_header() -> None:
    print(f"{'':<22}" + "".join(f"{title:>10}" for title in [*FIGURES.values(), "pass"]))


def _print_row(name: str, rows: list[dict[str, float]]) -> None:
    means = [np.mean([row[figure] for row in rows]) for figure in FIGURES]
    share = np.mean([row["passes"] for row in rows])
    print(f"{name:<22}" + "".join(f"{mean:10.3f}" for mean in means) + f"{share:10.0%}", flush=True)


def print_worst(pairs: list[Pair], rows: list[dict[str, float]]) -> None:
    """Print the pairs that miss a gate by most, or that come closest to it."""
    margin = [min(row[gate] / least for gate, least in GATES.items()) for row in rows]
    for i in np.argsort(margin)[:N_WORST]:
        figures = ", ".join(f"{FIGURES[gate]} {rows[i][gate]:.2f}" for gate in GATES)
        print(f"worst: {pairs[i].name}: {figures}")


def _strengths(pairs: list[Pair]) -> dict[str, list[float]]:
    """Print the rank correlation per pair of strength with dTM and with the lost content."""
    from scipy.stats import spearmanr  # a second, for one line

    found: dict[str, list[float]] = {"texture": [], "content": []}
    for pair in pairs:
        rows = []
        for strength in STRENGTHS:
            y = transfer_style(
                pair.music, pair.ambience, sr=SR, strength=strength, n_threads=N_THREADS
            )
            rows.append(evaluate(y, pair.music, pair.reference, SR))
        found["texture"].append(float(spearmanr(STRENGTHS, [r.texture for r in rows])[0]))
        found["content"].append(float(spearmanr(STRENGTHS, [-r.content for r in rows])[0]))
    for figure, values in found.items():
        print(f"strength and {figure}: Spearman per pair, mean {np.mean(values):.2f}, "
              f"least {min(values):.2f}")  # fmt: skip
    return found


def _notes(pairs: list[Pair], rendered: list[np.ndarray]) -> dict[str, list[float]]:
    """Print the note F1, by an optional judge, of the transfer and of the inverted music mel."""
    if absent := notes.missing():
        print(f"notes: not judged, {', '.join(absent)} not installed (tests/benchmarks/README.md)")
        return {}
    mel = load_classifier().mel
    found: dict[str, list[float]] = {"real": [], "mel round trip": []}
    for y, pair in zip(rendered, pairs, strict=False):  # the first pairs only
        M = analyse(pair.music, mel, name="music").M
        trip = mel_to_audio(M, mel, InversionConfig(), n_samples=len(pair.music))
        found["real"].append(notes.note_f1(y, pair.music, SR))
        found["mel round trip"].append(notes.note_f1(trip, pair.music, SR))
    means = {name: np.mean(values) for name, values in found.items()}
    listed = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
    print(f"note F1: {listed}, ratio {means['real'] / means['mel round trip']:.2f}")
    return found


def _plot_plane(path: Path, results: dict) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # after the backend is chosen

    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    methods = {name: found["pairs"] for name, found in results.items() if "pairs" in found}
    by_texture = sorted(methods, key=lambda name: np.mean([r["texture"] for r in methods[name]]))
    for number, name in enumerate(by_texture):
        keys = ("content", "texture", "carrier_db")
        *means, carrier = (np.mean([row[k] for row in methods[name]]) for k in keys)
        axes.scatter(*means, s=30, color="C2" if carrier >= 4 else "C3")
        side = {"xytext": (-5, -3), "ha": "right"} if number % 2 else {"xytext": (5, -3)}
        axes.annotate(name, means, textcoords="offset points", fontsize=8, **side)
    axes.axvline(0.65, lw=0.5, color="grey")
    axes.axhline(0.75, lw=0.5, color="grey")
    axes.set(xlabel="content C (1: the music)", ylabel="texture dTM (1: the ambience)")
    axes.set_title("green: a carrier of its own; red: the music's own signal", fontsize=9)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _plot_mels(path: Path, pairs: list[Pair], rendered: list[np.ndarray]) -> None:
    from matplotlib import pyplot as plt

    mel = MelConfig(n_fft=2048, hop_length=512, n_mels=128)  # no band is empty, unlike ours
    figure, axes = plt.subplots(
        3, len(pairs), figsize=(5 * len(pairs), 9), layout="constrained", sharex=True, sharey=True
    )
    for column, (pair, y) in enumerate(zip(pairs, rendered, strict=True)):
        sounds = {"ambience": pair.ambience, "music": pair.music, "real, strength 1": y}
        for row, (title, sound) in enumerate(sounds.items()):
            M = power_mel(set_rms(sound[: 4 * mel.sr], LEVEL), mel)
            axis = axes[row, column]
            librosa.display.specshow(
                10 * np.log10(M + 1e-10), sr=mel.sr, hop_length=mel.hop_length, n_fft=mel.n_fft,
                x_axis="time", y_axis="mel", vmin=-40, vmax=25, cmap="viridis", ax=axis,
            )  # fmt: skip
            axis.set_title(f"{pair.name}: {title}", fontsize=15)
            axis.set(xlabel="time in s", ylabel="frequency in Hz")
            axis.label_outer()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _shrink(picture: Path, smaller: Path) -> None:
    """A copy for the documentation, in half the size and 64 colours."""
    from PIL import Image  # comes with matplotlib

    with Image.open(picture) as image:
        reduced = image.convert("RGB").reduce(2).quantize(64, dither=Image.Dither.NONE)
        reduced.save(smaller, optimize=True)
