"""Statistics of a listening test; the listeners are the sample."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

_CONFIDENCE = 0.95
_DIGITS = 9


class Mean(NamedTuple):
    """Mean, and the ends of its 95 % interval; they are None for a single value."""

    mean: float
    low: float | None
    high: float | None


def mean_of(values: npt.ArrayLike) -> Mean:
    """Return the mean of one value per listener, and its interval by Student's t distribution.

    Parameters
    ----------
    values : shape (n_listeners,)
        At least one; the unit is any.
    """
    each = np.asarray(values, float)
    mean = float(each.mean())
    if len(each) < 2:
        return Mean(mean, None, None)
    error = float(each.std(ddof=1)) / math.sqrt(len(each))
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(each) - 1)) * error
    return Mean(mean, mean - half, mean + half)


def signed_rank_p(differences: npt.ArrayLike) -> float:
    """Return the two-sided p value of Wilcoxon's signed-rank test, 0 to 1.

    Parameters
    ----------
    differences : shape (n_listeners,)
        One difference per listener. Zeros are left out, as Wilcoxon did; if nothing remains, the
        value is 1.

    References
    ----------
    F. Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1, 1945.
    """
    # Without the rounding, equal differences would get different ranks.
    each = np.round(np.asarray(differences, float), _DIGITS)
    each = each[each != 0]
    return float(stats.wilcoxon(each).pvalue) if len(each) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, in the same order.

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    for rank, k in enumerate(order):
        highest = max(highest, min(1.0, p_values[k] * (len(p_values) - rank)))
        corrected[k] = highest
    return corrected
