"""File of a rendered pair, with its loudness and its figures."""

import dataclasses
from pathlib import Path

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import spread_lufs
from nst_core.audio.mastering import write_master
from nst_core.audio.origin import Origin
from nst_core.config import OutputConfig, Strength, StrengthCurve
from nst_core.decoding.tags import one_line
from nst_core.metrics.scores import evaluate
from nst_core.streaming.arrays import Sliceable
from tasks.report.words import verdict
from tasks.storage.store import Json


def write_and_judge(
    path: Path,
    y: Sliceable,
    sr: int,
    output: OutputConfig,
    *,
    music: Sliceable,
    ambience: FloatArray,
    strength: Strength,
    n_threads: int,
    origin: Origin,
    comment: str,
    scratch: Path,
) -> dict[str, Json]:
    """Write a result, and measure it.

    Parameters
    ----------
    path
        Temporary path: the file is visible while it is written.
    y, music : shape (n_samples,) or (n_samples, 2), float32
        Result and music at the rate `sr`, in Hz.
    ambience : shape (any,), float32
        In mono.
    strength
        Of the result: the verdict is relative to it.
    origin
        Facts about the music's file: the result gets its rate, tags and cover.
    comment
        Comment in the tags of the result.
    scratch
        Folder for long arrays.

    Returns
    -------
    Length, rate, loudness, metrics and verdict, by their column in the report.
    """
    tags = dataclasses.replace(origin.tags, comment=one_line(comment))
    levels = write_master(
        path, y, sr, output, music=music, music_sr=origin.sr, tags=tags, scratch=scratch
    )
    # Measure before the limiter, at the sample rate that the figures are calibrated for.
    figures = dataclasses.asdict(evaluate(y, music, ambience, sr, n_threads=n_threads))
    duration_s = len(y) / sr
    mean_strength = StrengthCurve.of(strength).mean(duration_s)
    return {
        "duration_s": duration_s,
        **dataclasses.asdict(levels),
        "ambience_lufs": spread_lufs(ambience, sr, n_channels=max(y.shape[1:], default=1)),
        **{name: _rounded(value) for name, value in figures.items()},
        "verdict": verdict(figures, mean_strength),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
