"""Blend several ambiences into one, so that all later code handles a single ambience."""

import math
from collections.abc import Sequence

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import rms, to_mono
from nst_core.config import LEVEL, MelConfig
from nst_core.streaming.resampling import at_rate
from nst_core.transfer.analysis import Analysis, Recording, analyse, without_offset
from nst_core.transfer.looping import loop_to_length
from nst_core.transfer.shares import shares


def blend(ambiences: Sequence[Analysis], weights: Sequence[float], mel: MelConfig) -> Analysis:
    """Mix several textures into one ambience.

    Each is scaled to the same level, looped to the length of the longest and scaled by the
    root of its share. Textures are uncorrelated, so their powers add: the mean power of every
    band is the weighted mean of theirs. The other style statistics are those of the mix that a
    listener would call "rain and wind". We do not average the statistics of the separate
    ambiences: there may be no sound with the averages of rain's and fire's grain, and the
    carrier, which must be one sound, would not match them.

    Parameters
    ----------
    ambiences
        One or more, analysed with `mel`. A single one is returned unchanged.
    weights
        One per ambience; only their proportions count.

    Raises
    ------
    ConfigError
        See `nst_core.transfer.shares.shares`.
    SignalError
        ``silent``: the ambiences cancel each other.
    """
    parts = shares(weights, len(ambiences))
    if len(ambiences) == 1:
        return ambiences[0]
    sr = max(each.sr for each in ambiences)
    is_stereo = any(len(each.y.shape) == 2 for each in ambiences)
    ys = [_levelled(each.recording, sr, is_stereo=is_stereo) for each in ambiences]
    n_samples = max(map(len, ys))
    total = np.zeros_like(ys[0], shape=(n_samples, *ys[0].shape[1:]))
    for y, share in zip(ys, parts, strict=True):
        total += np.float32(math.sqrt(share)) * loop_to_length(y, n_samples, sr)
    return analyse(total, mel, name="the blend of the ambiences", sr=sr)


def _levelled(each: Recording, sr: int, *, is_stereo: bool) -> FloatArray:
    """Return an ambience at a rate, with a mono mix at `LEVEL`, and with two channels if asked."""
    y = at_rate(without_offset(each.y), each.sr, sr)[:]
    y = y * np.float32(LEVEL / rms(to_mono(y)))
    return np.stack([y, y], axis=1) if is_stereo and y.ndim == 1 else y
