"""Sounds that a listener compares: equally loud, with soft ends, and no two with equal bytes."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.mastering import write_master
from nst_core.audio.true_peak import true_peak_dbtp
from nst_core.config import OutputConfig
from nst_core.errors import SignalError

_LOUDEST_LUFS, _QUIETEST_LUFS = -23.0, -33.0
_TOLERANCE_LU = 0.25
"""Two sounds then differ by half a loudness unit at most."""
_FADE_S = 0.02
_STEP = 2.0**-15
"""Step of 16 bits, full scale 1."""


def shared_loudness(sounds: Iterable[FloatArray], sr: int) -> float:
    """Return the loudness that all sounds can have without a limiter, in LUFS.

    Parameters
    ----------
    sounds : shape (n_samples,) each, float32
        At any level.
    sr
        Hz.

    Returns
    -------
    float
        At most -23 LUFS, the level of programmes by EBU R 128. A sound of few sharp peaks would
        need less than -33; then the limiter may touch it.

    Raises
    ------
    SignalError
        ``silent``
    """
    ceiling_dbtp = OutputConfig().max_true_peak_dbtp
    lowest = _LOUDEST_LUFS
    for y in sounds:
        loudness = loudness_lufs(y, sr)
        if not math.isfinite(loudness):
            raise SignalError("a sound of the pair is silent; use an audible clip", code="silent")
        lowest = min(lowest, loudness - true_peak_dbtp(y) + ceiling_dbtp)
    return max(lowest, _QUIETEST_LUFS)


def write_alike(path: Path, y: FloatArray, sr: int, lufs: float, rng: np.random.Generator) -> float:
    """Write a FLAC file of 16 bits at a loudness, and return the loudness of the file in LUFS.

    Parameters
    ----------
    y : shape (n_samples,), float32
        At any level.
    rng
        Source of the dither, triangular noise of one step of 16 bits. It is inaudible, and it
        makes two files of the same sound differ, so that nobody can find the hidden reference by
        its bytes or size.

    Raises
    ------
    SignalError
        ``uneven_loudness``: the sound cannot be that loud, because it has only sharp peaks.
    """
    output = OutputConfig(format="flac", sample_rate=sr, loudness_lufs=lufs)
    gain = 10 ** ((lufs - loudness_lufs(y, sr)) / 20)
    dither = (rng.random(len(y)) - rng.random(len(y))) * _STEP / gain
    reached = write_master(path, (_faded(y, sr) + dither).astype(np.float32), sr, output)
    if not abs(reached.loudness_lufs - lufs) <= _TOLERANCE_LU:
        path.unlink()
        raise SignalError(
            f"a sound of the pair reaches {reached.loudness_lufs:.1f} LUFS, not {lufs:.1f}, "
            "because it has only sharp peaks; use a denser ambience or music",
            code="uneven_loudness",
        )
    return reached.loudness_lufs


def _faded(y: FloatArray, sr: int) -> FloatArray:
    """Fade both ends, so that a repeated sound does not click."""
    n = min(round(_FADE_S * sr), len(y) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, n, dtype=np.float32)) ** 2
    faded = y.copy()
    faded[:n] *= ramp
    faded[len(y) - n :] *= ramp[::-1]
    return faded
