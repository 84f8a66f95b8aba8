"""Preview of a sound: its first seconds, small enough to be put beside a page."""

from pathlib import Path

import numpy as np
import soundfile as sf

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
    mono = to_mono(y[: round(at_most_s * sr)])
    mono = mono / max(1.0, float(np.abs(mono).max()))
    sf.write(path, mono, sr, format="MP3", compression_level=_COMPRESSION)
