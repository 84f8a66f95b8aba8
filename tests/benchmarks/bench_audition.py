"""Six pairs to listen to, as a page; and, until somebody listens, faults that can be measured.

Writes `build/audition/index.html`. Faults: clicks, metallic ringing (flatness, crest), hiss
and pumping at the rate of a hop, each beside the larger of the two inputs.
"""

import html
from pathlib import Path

import numpy as np

from nst_core.analysis import LEVEL
from nst_core.config import preset
from nst_core.encoding import write_audio
from nst_core.levels import set_rms
from nst_core.metrics import high_share
from nst_core.runtime import setup_tensorflow
from nst_core.texture import power_spectrogram
from nst_core.transfer import transfer_style
from tests.benchmarks.bench_sound import SR, STRENGTHS, load_pair

N_THREADS = 2
PAIRS = (
    ("rain", "guitar"), ("waves", "piano"), ("fireplace", "vocal_pop"),
    ("wind", "orchestra"), ("storm", "percussion"), ("city", "techno"),
)  # fmt: skip
PRESETS = ("fast", "closed", "mel")
HOPS = (64, 256, 512)
FAULTS = ("clicks", "crest_db", "flatness", "high_share", "hop_modulation")


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
    config = preset(name, strength=strength)
    y = transfer_style(pair.music, pair.ambience, sr=SR, config=config, n_threads=N_THREADS)
    return set_rms(y, LEVEL)


def _faults(y: np.ndarray) -> dict[str, float]:
    jumps = np.abs(np.diff(y, 2))
    power = power_spectrogram(y, 1024, 256) + 1e-12
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    return {
        "clicks": float(jumps.max() / np.quantile(jumps, 0.999)),
        "crest_db": float(20 * np.log10(np.max(np.abs(y)) / np.sqrt(np.mean(y**2)))),
        "flatness": float(np.median(flatness)),
        "high_share": high_share(y, SR),
        "hop_modulation": max(_modulation_at(y, SR / hop) for hop in HOPS),
    }


def _modulation_at(y: np.ndarray, rate_hz: float) -> float:
    """Envelope's spectrum within 0.3 Hz of a rate over the median within 10 Hz."""
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
    """The transfer at full strength beside the larger of its inputs."""
    full, inputs = faults["real, strength 1"], (faults["ambience"], faults["music"])
    listed = [
        f"{fault} {full[fault]:.3g} (inputs {max(x[fault] for x in inputs):.3g})"
        for fault in FAULTS
    ]
    print(f"{name:<24}" + ", ".join(listed), flush=True)
