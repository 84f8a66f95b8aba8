"""Several ambiences at once, as one: everything after it knows of a single ambience."""

import math
from collections.abc import Sequence

import numpy as np

from nst_core.analysis import Analysis, analyse
from nst_core.config import MelConfig
from nst_core.errors import ConfigError
from nst_core.looping import loop_to_length


def shares(weights: Sequence[float] | None, n_ambiences: int) -> tuple[float, ...]:
    """Weights as shares of the whole: their sum is 1; None weighs all alike.

    Raises
    ------
    ConfigError
        For a weight that is not a finite number above 0, or another number of them.
    """
    given = [1.0] * n_ambiences if weights is None else weights
    if len(given) != n_ambiences:
        raise ConfigError(
            f"ambience_weights = {tuple(given)!r} has {len(given)} numbers for {n_ambiences} "
            "ambiences; give one per ambience"
        )
    largest = max(given, default=1.0)  # the sum of very large weights is not finite
    if not all(math.isfinite(weight) and weight / largest > 0 for weight in given):
        raise ConfigError(
            f"ambience_weights = {tuple(given)!r} holds one that is not a finite number above 0; "
            "leave out an ambience that is to have no part"
        )
    total = math.fsum(weight / largest for weight in given)
    return tuple(weight / largest / total for weight in given)


def blend(ambiences: Sequence[Analysis], weights: Sequence[float], mel: MelConfig) -> Analysis:
    """Let several textures sound at once, as one ambience.

    Each is brought to one level, looped to the length of the longest and scaled by the
    root of its share. Textures are uncorrelated, so their powers add: the mean power of
    every band is the weighted mean of theirs. The other style statistics are those of the
    sound that a listener would call "rain and wind". We do not average the statistics of
    the ambiences themselves: no sound need have the averages of rain's and fire's grain,
    and the carrier, which must be one sound, would pull the other way.

    Parameters
    ----------
    ambiences
        One or more, analysed with `mel`. A single one comes back as it is.
    weights
        As many; only their proportions count.

    Raises
    ------
    ConfigError
        As `shares`.
    SignalError
        ``silent`` when the ambiences cancel each other.
    """
    parts = shares(weights, len(ambiences))
    if len(ambiences) == 1:
        return ambiences[0]
    n_samples = max(len(each.y) for each in ambiences)
    y = np.zeros(n_samples, np.float32)
    for each, share in zip(ambiences, parts, strict=True):
        y += np.float32(math.sqrt(share)) * loop_to_length(each.levelled()[:], n_samples, mel.sr)
    return analyse(y, mel, name="the blend of the ambiences")
