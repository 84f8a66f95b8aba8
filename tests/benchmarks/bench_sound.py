"""Does the ambience play the music? Real pairs of 10 s, all methods, two tables.

The reference of every figure is the half of the ambience that no method hears. Settings are
chosen on the split `tune` alone; `bench_check` judges the same figures on other recordings.
"""

import dataclasses
from pathlib import Path

import numpy as np

from nst_core.audio.loudness import set_rms
from nst_core.classifier.network import build_classifier
from nst_core.classifier.saving import load_classifier
from nst_core.classifier.taps import feature_taps
from nst_core.config import ClassifierConfig, MelConfig, preset
from nst_core.metrics import controls
from nst_core.metrics.scores import evaluate
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.streaming.resampling import resample
from nst_core.transfer.end_to_end import transfer_arrays
from tests import cheats
from tests.benchmarks import artefacts, notes, peers
from tests.benchmarks.faulty import judged_faulty
from tests.benchmarks.judging import (
    ear_for,
    judged,
    mean,
    print_faults,
    print_header,
    print_worst,
)
from tests.benchmarks.pairs import SR, Pair, load_pairs
from tests.benchmarks.pictures import draw_sheet, plot_mels, plot_plane, shrink

N_THREADS = 2
N_FOR_ALL_METHODS = 20
"""Any first part of the list of pairs is spread as the whole is."""
ON_EVERY_PAIR = ("real", "closed", "classifier", "music", "mix", "mix, more ambience")
ULYANOV_PAIRS = 2
"""The peer takes minutes a pair."""
STRENGTH_PAIRS = 16
PICTURED = (10, 13, 18)
PICTURES = Path(__file__).parents[2] / "docs" / "images"
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
FOLDER = Path("build/benchmarks")


def run(data: Path, *, n_pairs: int | None = None) -> dict:
    """Measure; `n_pairs` is for a quick look, without the slow peer and the README's pictures."""
    setup_tensorflow(N_THREADS)
    pairs = load_pairs(data, "tune", n_pairs=n_pairs)
    ear = ear_for(data, "tune")
    results, rendered = {}, {}
    print_header()
    for name, method in methods().items():
        chosen = pairs if name in ON_EVERY_PAIR else pairs[:N_FOR_ALL_METHODS]
        if name == "Ulyanov 2016":
            chosen = [] if n_pairs else pairs[:ULYANOV_PAIRS]
        if chosen:
            results[name], rendered[name] = judged(name, method, chosen, ear)
    print_faults(results | judged_faulty(pairs[:N_FOR_ALL_METHODS]))
    _print_note_ratio(results)
    worst = print_worst(pairs, results["real"]["pairs"])
    chosen = ([each[i] for i in worst] for each in (pairs, rendered["real"]))
    draw_sheet(FOLDER / "worst.png", *chosen, list(worst.values()))
    results["strength"] = _strengths(pairs[:STRENGTH_PAIRS])
    if not n_pairs:
        _draw_for_readme(pairs, results, rendered["real"])
    return results


def _draw_for_readme(pairs: list[Pair], results: dict, rendered: list[np.ndarray]) -> None:
    plot_plane(PICTURES / "sound.png", results)
    shown = [pairs[i].judged for i in PICTURED]
    heard = [resample(rendered[i], pairs[i].sr, SR) for i in PICTURED]
    plot_mels(FOLDER / "mels.png", shown, heard)
    shrink(FOLDER / "mels.png", PICTURES / "mels.png")


def methods():
    """Return the methods by name; each renders a pair at the pair's rate."""
    random = dataclasses.replace(load_classifier(), taps=_random_taps())

    def ours(name, classifier=None, **changes):
        config = preset(name, **changes)
        return lambda pair: transfer_arrays(
            pair.music, pair.ambience, sr=pair.sr, config=config, strength=1.0,
            classifier=classifier, n_threads=N_THREADS,
        )  # fmt: skip

    def peer(function):
        """Run at the judged rate, which the windows of the peers are made for."""

        def render(pair):
            heard = pair.judged
            y = resample(function(heard.music, heard.looped, SR), SR, pair.sr)
            return np.resize(y, len(pair.music))

        return render

    real = ours("real")
    return {
        "real": real,
        "closed": ours("closed"),
        "music": lambda pair: pair.music,
        "mix": lambda pair: controls.mix(pair.music, pair.looped, pair.sr),
        "mix, more ambience": lambda pair: set_rms(pair.music + 2 * pair.looped),
        "real, no excitation": ours("real", excitation=0.0),
        "classifier": ours("classifier"),
        "classifier, random net": ours("classifier", random),
        "classifier, no net": ours("classifier", style_layers=("input",)),
        "mel": ours("mel"),
        "original": ours("original"),
        "EQ + mix": peer(controls.eq_mix),
        "side-chained mix": peer(cheats.side_chain),
        "vocoder": peer(controls.vocoder),
        "EQ": peer(controls.eq),
        "mel round trip": peer(cheats.mel_round_trip),
        "50:50 crossfade": lambda pair: cheats.crossfade(pair.music, real(pair)),
        "positive control": peer(cheats.under_envelopes),
        "Ulyanov 2016": peer(peers.ulyanov),
    }


def _random_taps():
    """The default architecture, never trained, with the trained input statistics."""
    taps = load_classifier().taps
    network = build_classifier(ClassifierConfig(), n_mels=MelConfig().n_mels, n_classes=4, seed=1)
    untrained = feature_taps(network)
    return dataclasses.replace(taps, kernels=untrained.kernels, biases=untrained.biases)


def _strengths(pairs: list[Pair]) -> dict[str, list[float]]:
    """Print what strength does per pair: rank correlations, and the loudness of the file."""
    from scipy.stats import spearmanr  # a second, for one line

    found: dict[str, list[float]] = {"texture": [], "content": [], "loudness_lu": []}
    for pair in pairs:
        rows, loudness = [], []
        for strength in STRENGTHS:
            y = transfer_arrays(
                pair.music, pair.ambience, sr=pair.sr, strength=strength, n_threads=N_THREADS
            )
            heard = resample(y, pair.sr, SR)
            rows.append(evaluate(heard, pair.judged.music, pair.judged.reference, SR))
            if strength:
                loudness.append(artefacts.loudness_lu(y, pair.music, pair.sr))
        found["texture"].append(float(spearmanr(STRENGTHS, [r.texture for r in rows])[0]))
        found["content"].append(float(spearmanr(STRENGTHS, [-r.content for r in rows])[0]))
        found["loudness_lu"].append(max(loudness, key=abs))
    for figure, title in (("texture", "dTM"), ("content", "-C")):
        values = found[figure]
        print(f"strength and {title}: Spearman per pair, mean {np.mean(values):.2f}, "
              f"least {min(values):.2f}")  # fmt: skip
    print(f"loudness of the files against the music, strengths {STRENGTHS[1]:g} to "
          f"{STRENGTHS[-1]:g}: {min(found['loudness_lu']):+.2f} to "
          f"{max(found['loudness_lu']):+.2f} LU")  # fmt: skip
    return found


def _print_note_ratio(results: dict) -> None:
    """Print the note F1 as a share of what the music's own mel reaches when it is inverted."""
    if not notes.missing():
        trip = results["mel round trip"]["pairs"]
        real = mean(results["real"]["pairs"][: len(trip)], "note_f1")
        ratio = real / mean(trip, "note_f1")
        print(f"note F1: real {real:.2f}, {ratio:.2f} of the mel round trip's")
