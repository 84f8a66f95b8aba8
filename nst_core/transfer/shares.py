"""Share of each ambience in a blend; a module of its own, because a plan needs no more."""

import math
from collections.abc import Sequence

from nst_core.errors import ConfigError


def shares(weights: Sequence[float] | None, n_ambiences: int) -> tuple[float, ...]:
    """Return weights as shares with the sum 1; None gives all ambiences the same share.

    Raises
    ------
    ConfigError
        A weight is not a finite number above 0, or the number of weights is wrong.
    """
    given = [1.0] * n_ambiences if weights is None else weights
    if len(given) != n_ambiences:
        raise ConfigError(
            f"ambience_weights = {tuple(given)!r} has {len(given)} numbers for {n_ambiences} "
            "ambiences; give one number per ambience"
        )
    largest = max(given, default=1.0)  # the sum of very large weights may be infinite
    if not all(math.isfinite(weight) and weight / largest > 0 for weight in given):
        raise ConfigError(
            f"ambience_weights = {tuple(given)!r} contains a weight that is not a finite number "
            "above 0; to give an ambience no weight, leave it out"
        )
    total = math.fsum(weight / largest for weight in given)
    return tuple(weight / largest / total for weight in given)
