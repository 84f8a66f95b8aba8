"""Preview of a sound: its first seconds, small enough to be put beside a page."""

import io
from pathlib import Path

import numpy as np
import soundfile as sf

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import to_mono
from nst_core.streaming.arrays import Sliceable

_COMPRESSION = 0.6
"""From 0 (largest) to 1: ten seconds take some fifty kilobytes."""


def write_preview(path: Path, y: Sliceable, sr: int, *, at_most_s: float) -> None:
    """Write the first `at_most_s` seconds in mono as MP3, which every browser plays.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
        Full scale 1. The level is kept, but a sound above full scale is turned down.
    sr
        Hz: 22,050 or another rate of MP3.
    """
    path.write_bytes(mp3_of(to_mono(y[: round(at_most_s * sr)]), sr))


def mp3_of(y: FloatArray, sr: int) -> bytes:
    """Return a small MP3 of a sound: its level is kept, but one above full scale is turned down.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, 2), float32
    sr
        Hz, a rate of MP3.
    """
    y = y / max(1.0, float(np.abs(y).max()))
    file = io.BytesIO()
    sf.write(file, y, sr, format="MP3", compression_level=_COMPRESSION)
    return file.getvalue()
