"""Strength of a rendering: one number, or a curve over time."""

import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from nst_core.errors import ConfigError

if TYPE_CHECKING:  # NumPy takes a while, and the command's help needs none
    import numpy as np
    import numpy.typing as npt

    from nst_core.arrays import FloatArray

Strength = float | str
"""0 returns the music, 1 is the ambience playing it; a text such as ``0:0.2;30:0.8`` is a curve."""

DEFAULT_STRENGTH = 0.7

_FORM = 'must be a number from 0 to 1, or a curve such as "0:0.2;30:0.8" (seconds:strength)'
_MOST_POINTS = 1000


@dataclass(frozen=True)
class StrengthCurve:
    """Strength over time: straight lines between points, and constant before and after them.

    Attributes
    ----------
    times_s
        Seconds from the start of the rendered section, rising.
    strengths
        Strength at each of these times, 0 to 1.
    """

    times_s: tuple[float, ...]
    strengths: tuple[float, ...]

    @classmethod
    def of(cls, strength: Strength) -> "StrengthCurve":
        """Read a strength.

        Raises
        ------
        ConfigError
            A strength is outside 0 to 1, or a text is not a curve.
        """
        if not isinstance(strength, str):
            _check_number(strength, strength)
            return cls((0.0,), (float(strength),))
        points = strength.split(";")
        if len(points) > _MOST_POINTS:
            _refuse(strength[:40], f"has more than {_MOST_POINTS} points")
        times_s, strengths = zip(*(_point(each, strength) for each in points), strict=True)
        if any(later <= earlier for earlier, later in pairwise(times_s)):
            _refuse(strength, "has times that do not rise")
        return cls(times_s, strengths)

    @property
    def constant(self) -> float | None:
        """The strength if it is the same at all times, else None."""
        return self.strengths[0] if len(set(self.strengths)) == 1 else None

    def at(self, times_s: "npt.NDArray[np.float64]") -> "FloatArray":
        """Return the strength at times in seconds, float32 of their shape."""
        import numpy as np  # noqa: PLC0415  # see above

        found: FloatArray = np.interp(times_s, self.times_s, self.strengths).astype(np.float32)
        return found

    def mean(self, duration_s: float) -> float:
        """Return the mean strength from 0 to `duration_s`."""
        if self.constant is not None:
            return self.constant
        import numpy as np  # noqa: PLC0415  # see above

        return float(self.at(np.linspace(0, duration_s, 1001)).mean())


def read_strength(value: object) -> object:
    """Return the number in a text such as ``0.5``; return any other value as it is."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def check_strength(strength: Strength) -> None:
    """Raise ConfigError for a strength outside 0 to 1, or a text that is not a curve."""
    StrengthCurve.of(strength)


def _point(text: str, strength: str) -> tuple[float, float]:
    time, colon, value = text.partition(":")
    try:
        time_s, reached = float(time), float(value)
    except ValueError:
        time_s = reached = math.nan
    if not colon or not (math.isfinite(time_s) and time_s >= 0) or math.isnan(reached):
        _refuse(strength, _FORM)
    _check_number(reached, strength)
    return time_s, reached


def _check_number(value: object, strength: object) -> None:
    if isinstance(value, bool) or not (isinstance(value, int | float) and 0.0 <= value <= 1.0):
        _refuse(strength, "is outside 0..1")


def _refuse(strength: object, rule: str) -> None:
    raise ConfigError(f"strength = {strength!r} {rule}", rule=rule)
