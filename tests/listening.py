"""A catalogue as a run leaves it, made without rendering: for tests of its listening page."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.writing import write_audio
from nst_core.checksum import sha256_of
from nst_core.metrics.small_picture import draw_small
from nst_core.synth.sounds import ambience, music_piece
from tasks.jobs.listen import Inputs
from tasks.report.page.places import picture_name
from tasks.report.page.writing import write_page
from tasks.report.results import RowResult
from tasks.report.tables import report_table, write_report
from tasks.running.workspace import Workspace

SR = 22_050
RESULT_S, AMBIENCE_S = 6.0, 2.5
AMBIENCES, MUSICS = ("rain", "fire"), ("folk", "rock")
RUN = "6f1b2c9e-4a53-4f4e-9d55-0e0d7a3c1b11"


_SETTINGS = {
    "preset": "real",
    "start": "carrier",
    "iterations": 60,
    "seed": 0,
    "start_s": 1.0,
    "duration_s": RESULT_S,
    "sample_rate": SR,
    "chroma": 0.8,
    "onset_correlation": 0.66,
    "spectrum": 0.71,
    "transfer_seconds": 1.9,
    "invert_seconds": 0.6,
    "worker": "studio:4711",
    "ended_at": "2026-11-28T22:14:05.120+00:00",
}


@dataclass
class Sound:
    """A file, its hash and loudness."""

    path: Path
    sha256: str
    lufs: float
    y: np.ndarray


def _sound(path: Path, y: np.ndarray) -> Sound:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, y, SR, format="wav")
    return Sound(path, sha256_of(path), round(loudness_lufs(y, SR), 2), y)


@dataclass
class FakeCatalogue:
    """Its output folder, its results, and what its page is made from."""

    output: Path
    results: list[RowResult]
    workspace: Workspace

    def write(self, *, inputs: Inputs = "links", n_asked: int | None = None) -> Path:
        """Write report and page; return the page."""
        write_report(self.results, self.workspace, str(self.output), run_id=RUN)
        table = report_table(self.results, RUN)
        page = write_page(table, self.workspace, str(self.output), inputs=inputs, n_asked=n_asked)
        return Path(page)


def fake_catalogue(root: Path, n_pairs: int = 8, *, n_failed: int = 1) -> FakeCatalogue:
    """Make sounds, pictures and results in `root`, from few sounds that share their samples."""
    chance = random.Random(5)
    output = root / "night"
    inputs = root / "in"
    rains = {
        kind: _sound(inputs / f"{kind}.wav", 0.4 * ambience(kind, AMBIENCE_S, seed=1))
        for kind in AMBIENCES
    }
    tunes = {
        kind: _sound(inputs / f"{kind}.wav", music_piece(kind, RESULT_S + 1, seed=1))
        for kind in MUSICS
    }
    n = round(RESULT_S * SR)
    made: dict[tuple[str, str], Sound] = {}
    for rain in AMBIENCES:
        for tune in MUSICS:
            music = tunes[tune].y[SR : SR + n]
            y = music * (0.4 + np.abs(np.resize(rains[rain].y, n)) * 3)
            sound = made[rain, tune] = _sound(
                root / "made" / f"{rain}-{tune}.wav", y.astype(np.float32)
            )
            picture = output / picture_name(sound.sha256)
            picture.parent.mkdir(parents=True, exist_ok=True)
            draw_small(picture, [rains[rain].y, music, y], SR)
    results = []
    for k in range(n_pairs):
        rain, tune = AMBIENCES[k % 2], MUSICS[k // 2 % 2]
        name = f"{rain}__{tune}" if n_pairs <= 4 else f"{rain}__{tune}-{k:03d}"
        given = {"ambience": str(rains[rain].path), "music": str(tunes[tune].path)}
        if k >= n_pairs - n_failed:
            error = f"{given['music']}: lasts 0.100 s, at least 0.25 s is needed; use a longer clip"
            results.append(
                RowResult(
                    line=k + 2,
                    id=name,
                    status="failed",
                    stage="mels",
                    error_code="too_short",
                    error=error,
                    facts=given,
                )
            )
            continue
        sound, strength = made[rain, tune], (0.5, 0.7, 1.0)[k % 3]
        place = output / f"{name}.wav"
        if not place.exists():
            os.link(sound.path, place)
        is_odd = k % 7 == 5
        levels = {
            "music_lufs": round(loudness_lufs(tunes[tune].y, SR), 2),
            "ambience_lufs": rains[rain].lufs,
            "loudness_lufs": sound.lufs,
        }
        figures = {
            "content": 0.2 + 0.1 * chance.random() if is_odd else chance.gauss(0.74, 0.05),
            "texture": chance.gauss(0.3 + 0.5 * strength, 0.05),
            "carrier_db": chance.gauss(4.6, 0.3),
            "follow": chance.gauss(0.5, 0.06),
        }
        hashes = {
            "music_sha256": tunes[tune].sha256,
            "ambience_sha256": rains[rain].sha256,
            "model_sha256": "ab" * 32,
        }
        facts = {**given, **_SETTINGS, **levels, **figures, **hashes, "strength": strength}
        results.append(
            RowResult(
                line=k + 2,
                id=name,
                status="ok",
                output=str(place),
                sha256=sound.sha256,
                facts=facts,
            )
        )
    return FakeCatalogue(output, results, Workspace(str(root / "store"), str(root / "scratch"), 1))
