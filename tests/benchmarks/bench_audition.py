"""Six pairs to listen to, as a page; and, until somebody listens, faults that can be measured.

Writes `build/audition/index.html`. Every fault is shown next to the larger value of the two inputs.
"""

import html
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from nst_core.audio.loudness import set_rms
from nst_core.audio.writing import write_audio
from nst_core.config import LEVEL, preset
from nst_core.metrics.scores import high_share
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.spectral.stft import power_spectrogram
from nst_core.transfer.end_to_end import transfer_arrays
from tests.benchmarks.bench_sound import STRENGTHS
from tests.benchmarks.pairs import SR, load_pair

N_THREADS = 2
PAIRS = (
    ("rain", "guitar"), ("waves", "piano"), ("fireplace", "vocal_pop"),
    ("wind", "orchestra"), ("storm", "percussion"), ("city", "techno"),
)  # fmt: skip
PRESETS = ("closed", "mel")
HOPS = (64, 256, 512)
FAULTS = (
    "clicks_per_s", "crest_db", "flatness", "high_share", "hop_modulation",
    "pumping_db", "ringing_db", "thinness_db",
)  # fmt: skip
_CLICK = 15
"""Noise's sharpest corner in 20 ms is about five times the median."""


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    folder = Path("build/audition")
    folder.mkdir(parents=True, exist_ok=True)
    found, sections = {}, []
    for names in PAIRS:
        pair = load_pair(data, *names)
        sounds = {"ambience": pair.looped, "music": pair.music}
        for strength in STRENGTHS[1:]:
            sounds[f"real, strength {strength:g}"] = _rendered(pair, "real", strength)
        for name in PRESETS:
            sounds[f"{name}, strength 1"] = _rendered(pair, name, 1.0)
        found[pair.name] = {title: _faults(y) for title, y in sounds.items()}
        sections.append(_section(folder, pair.name, sounds, found[pair.name]))
        _print_worst(pair.name, found[pair.name])
    page = "<!doctype html><meta charset=utf-8><title>Audition</title><h1>Audition</h1>"
    (folder / "index.html").write_text(page + "".join(sections), "utf-8")
    print(f"page: {folder / 'index.html'}")
    return found


def _rendered(pair, name: str, strength: float) -> np.ndarray:
    y = transfer_arrays(
        pair.music, pair.ambience, sr=SR, config=preset(name), strength=strength,
        n_threads=N_THREADS,
    )  # fmt: skip
    return set_rms(y, LEVEL)


def _faults(y: np.ndarray) -> dict[str, float]:
    power = power_spectrogram(y, 1024, 256) + 1e-12
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    loudness = uniform_filter1d(power.sum(axis=1), 17)
    level_db = 10 * np.log10(loudness + 1e-6 * loudness.max())
    return {
        "clicks_per_s": _clicks_per_s(y),
        "crest_db": float(20 * np.log10(np.max(np.abs(y)) / np.sqrt(np.mean(y**2)))),
        "flatness": float(np.median(flatness)),
        "high_share": high_share(y, SR),
        "hop_modulation": max(_modulation_at(y, SR / hop) for hop in HOPS),
        "pumping_db": float(np.std(level_db[17:] - level_db[:-17])),
        "ringing_db": _ringing_db(y),
        "thinness_db": _thinness_db(y),
    }


def _clicks_per_s(y: np.ndarray) -> float:
    block = SR // 50
    corners = np.abs(np.diff(y, 2))
    corners = corners[: len(corners) // block * block].reshape(-1, block)
    is_click = corners.max(axis=1) > _CLICK * np.median(corners, axis=1) + 1e-4
    return float(is_click.sum() / (len(y) / SR))


def _ringing_db(y: np.ndarray) -> float:
    """Return how far the strongest 1 % of 0.4-s lines above 1 kHz exceed the 200 Hz around them."""
    power = uniform_filter1d(power_spectrogram(y, 4096, 1024), 5, axis=0)[2::5]
    power = power[:, 4096 * 1000 // SR :] + 1e-6 * power.mean()
    return float(np.quantile(10 * np.log10(power / median_filter(power, (1, 39))), 0.99))


def _thinness_db(y: np.ndarray) -> float:
    power = power_spectrogram(y, 4096, 4096).sum(axis=0)
    low = 4096 * 150 // SR + 1
    return float(10 * np.log10(power[low:].sum() / power[:low].sum()))


def _modulation_at(y: np.ndarray, rate_hz: float) -> float:
    """Return the envelope's spectrum within 0.3 Hz of a rate, over the median within 10 Hz."""
    spectrum = np.abs(np.fft.rfft(np.abs(y) * np.hanning(len(y))))
    distance = np.abs(np.fft.rfftfreq(len(y), 1 / SR) - rate_hz)
    return float(spectrum[distance < 0.3].max() / np.median(spectrum[distance < 10]))


def _section(folder: Path, name: str, sounds, faults) -> str:
    rows = []
    for title, y in sounds.items():
        file = f"{name} {title}.ogg".replace(" ", "_").replace(",", "")
        write_audio(folder / file, y, SR, format="ogg")
        figures = "".join(f"<td>{faults[title][fault]:.3g}" for fault in FAULTS)
        rows.append(
            f"<tr><td>{html.escape(title)}<td><audio controls preload=none src='{file}'></audio>"
            f"{figures}"
        )
    head = "".join(f"<th>{fault}" for fault in FAULTS)
    return f"<h2>{html.escape(name)}</h2><table><tr><th>sound<th>{head}{''.join(rows)}</table>"


def _print_worst(name: str, faults: dict[str, dict[str, float]]) -> None:
    """Print the transfer at full strength next to the larger of its inputs."""
    full, inputs = faults["real, strength 1"], (faults["ambience"], faults["music"])
    listed = [
        f"{fault} {full[fault]:.3g} (inputs {max(x[fault] for x in inputs):.3g})"
        for fault in FAULTS
    ]
    print(f"{name:<24}" + ", ".join(listed), flush=True)
