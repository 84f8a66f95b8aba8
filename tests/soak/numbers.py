"""Odd sounds as music and as ambience: rendered with sensible figures, or refused with a reason."""

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from nst_core.config import TransferConfig
from nst_core.errors import NSTError
from tasks.running.workspace import Workspace
from tasks.single import SinglePair, render_single
from tests.small_classifier import save_small_classifier
from tests.soak.table import Outcome

SR = 22_050


def odd_sounds() -> dict[str, tuple[np.ndarray, int]]:
    """Return sounds that a careless program trips over, by name, with their rates."""
    t = np.arange(3 * SR) / SR
    tone = 0.3 * np.sin(2 * np.pi * 220 * t)
    noise = 0.1 * np.random.default_rng(1).standard_normal(3 * SR)
    click = np.zeros(3 * SR)
    click[::5_500] = 0.9
    one = np.zeros(3 * SR)
    one[SR] = 1.0
    half = np.where(t < 1.5, tone, 0.0)
    fast = np.arange(3 * 192_000) / 192_000
    slow = np.arange(3 * 8_000) / 8_000
    return {
        "square": (np.sign(tone) * 0.9, SR),
        "full-scale square": (np.sign(tone), SR),
        "impulses": (click, SR),
        "one impulse": (one, SR),
        "tone": (tone, SR),
        "DC and tone": (0.5 + tone, SR),
        "DC": (np.full(3 * SR, 0.5), SR),
        "half silence": (half, SR),
        "silence": (np.zeros(3 * SR), SR),
        "nearly silence": (1e-6 * noise, SR),
        "anti-phase": (np.stack([tone, -tone], axis=1), SR),
        "nearly anti-phase": (np.stack([tone, -0.999 * tone], axis=1), SR),
        "one channel silent": (np.stack([tone, 0 * tone], axis=1), SR),
        "NaN": (np.where(t < 1, tone, np.nan), SR),
        "1e30": (1e30 * tone, SR),
        "noise": (noise, SR),
        "8 kHz": (0.3 * np.sin(2 * np.pi * 220 * slow), 8_000),
        "192 kHz": (0.3 * np.sin(2 * np.pi * 220 * fast), 192_000),
        "0.25 s": (tone[: SR // 4 + 1], SR),
        "0.24 s": (tone[: SR // 4 - 300], SR),
        "chirp at Nyquist": (0.3 * np.sin(np.pi * 0.99 * np.arange(3 * SR)), SR),
    }


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Render random pairs of odd sounds, each sound at least once if there is time."""
    model = str(save_small_classifier(_made(folder / "model"), seed=3, standardised=True))
    workspace = Workspace(str(folder / "store"), str(folder / "scratch"), 1)
    sounds = odd_sounds()
    for name, (y, sr) in sounds.items():
        sf.write(folder / f"{name}.wav", y, sr, subtype="FLOAT")
    outcome, chance, names = Outcome("numbers"), random.Random(1), list(sounds)
    order = [(a, chance.choice(names)) for a in names] + [(chance.choice(names), a) for a in names]
    while time.monotonic() < give_up:
        music, ambience = order.pop() if order else (chance.choice(names), chance.choice(names))
        strength = chance.choice([0.0, 0.3, 0.7, 1.0])
        tried = (f"{folder}/{music}.wav", f"{folder}/{ambience}.wav", strength)
        _render(outcome, *tried, model, folder / "out.wav", workspace)
    yield outcome


def _render(
    outcome: Outcome,
    music: str,
    ambience: str,
    strength: float,
    model: str,
    output: Path,
    workspace: Workspace,
) -> None:
    outcome.tried += 1
    pair = SinglePair(
        ambience=ambience,
        music=music,
        output=str(output),
        model=model,
        strength=strength,
        config=TransferConfig(n_iterations=2),
    )
    try:
        figures = render_single(pair, workspace).figures
    except NSTError:
        outcome.refused += 1
        return
    except Exception as error:  # noqa: BLE001  # the finding that this attack looks for
        outcome.remark = f"{Path(music).stem} with {Path(ambience).stem}: {error!r}"
        return
    outcome.survived += 1
    y, _ = sf.read(output)
    numbers = [value for value in figures.values() if isinstance(value, float)]
    bad = [value for value in numbers if not math.isfinite(value) or abs(value) > 200]
    if bad or not np.isfinite(y).all() or np.abs(y).max() > 1:
        outcome.wrong += 1
        outcome.remark = f"{Path(music).stem} with {Path(ambience).stem}: {figures}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
