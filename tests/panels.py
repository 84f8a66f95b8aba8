"""A listening test without sounds, and listeners whose taste is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tasks.panel.key import Key, KeyPair, key_text
from tasks.panel.questions import AMBIENCE, LOW_PASS, MUSIC, QUESTIONS, titles

STRENGTHS = (0.7, 1.0)
TASTE: dict[str, dict[str, float]] = {
    "tune": {MUSIC: 100, AMBIENCE: 2, LOW_PASS: 90, "mix": 80, "eq_mix": 70, "vocoder": 60,
             "ours_0.7": 75, "ours_1": 65},
    "material": {MUSIC: 1, AMBIENCE: 100, LOW_PASS: 1, "mix": 30, "eq_mix": 35, "vocoder": 45,
                 "ours_0.7": 60, "ours_1": 80},
    "pleasant": {MUSIC: 95, AMBIENCE: 70, LOW_PASS: 50, "mix": 60, "eq_mix": 55, "vocoder": 20,
                 "ours_0.7": 60, "ours_1": 60},
}  # fmt: skip
"""Rating of each condition by a listener without whims, per question."""

Change = Callable[[dict[str, Any]], None]


def fake_key(n_pairs: int = 4, *, seed: int = 1) -> Key:
    rng = np.random.default_rng(seed)

    def name() -> str:
        return rng.bytes(8).hex()

    pairs = [
        KeyPair(
            pair=name(),
            id=f"rain-{number}",
            ambience="rain.wav",
            music="folk.wav",
            sounds={name(): condition for condition in titles(STRENGTHS)},
        )
        for number in range(n_pairs)
    ]
    return Key(
        panel=name(),
        made_at="2026-11-29T06:00:00+00:00",
        algorithm_version=9,
        loudness_lufs=-23.0,
        licence="",
        conditions=titles(STRENGTHS),
        pairs=tuple(pairs),
    )


def listener(
    key: Key,
    number: int,
    *,
    name: str = "",
    taste: dict[str, dict[str, float]] = TASTE,
    whim: float = 3.0,
    missed: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Return the answers of one listener, who misses the reference of a question in some pairs."""
    rng = np.random.default_rng([7, number])
    answers = []
    for question in QUESTIONS:
        left = (missed or {}).get(question.name, 0)
        for pair in key.pairs:
            scores = {}
            for sound, condition in pair.sounds.items():
                rating = taste[question.name][condition] + whim * rng.standard_normal()
                if condition == question.reference:
                    rating = 89 if left > 0 else max(rating, 90)
                scores[sound] = int(np.clip(round(rating), 0, 100))
            left -= 1
            answers.append({"pair": pair.pair, "question": question.name, "scores": scores})
    return {
        "format": "amnst-panel-answers", "version": 1, "panel": key.panel,
        "listener": f"{number:016x}", "seed": number, "name": name, "headphones": "headphones",
        "comment": "", "started_at": "", "finished_at": "", "answers": answers,
    }  # fmt: skip


def write_panel(folder: Path, key: Key, sent: list[dict[str, Any]]) -> tuple[Path, list[str]]:
    """Write a key, and a file per listener; return their places."""
    place = folder / "key.json"
    place.write_text(key_text(key), "utf-8")
    files = []
    for number, answers in enumerate(sent):
        path = folder / f"answers-{number}.json"
        path.write_text(json.dumps(answers), "utf-8")
        files.append(str(path))
    return place, files
