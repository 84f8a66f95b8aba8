"""Blend several ambiences into one, so that all later code handles a single ambience."""

import math
from collections.abc import Sequence

import numpy as np

from nst_core.config import MelConfig
from nst_core.transfer.analysis import Analysis, analyse
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
    n_samples = max(len(each.y) for each in ambiences)
    y = np.zeros(n_samples, np.float32)
    for each, share in zip(ambiences, parts, strict=True):
        y += np.float32(math.sqrt(share)) * loop_to_length(each.levelled()[:], n_samples, mel.sr)
    return analyse(y, mel, name="the blend of the ambiences")
