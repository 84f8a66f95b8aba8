"""How much of the ambience a result has at each moment of a track."""

from dataclasses import dataclass, replace

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.config.strength import StrengthCurve

_EXPONENT = 0.7
"""With it, the texture grows evenly with the strength."""


@dataclass(frozen=True)
class Weights:
    """The ambience's share along a track, or along a stretch of it.

    Attributes
    ----------
    strength
        Strength over the whole track.
    sr
        Sample rate of the track in Hz.
    first
        Sample of the track at which the stretch begins.
    """

    strength: StrengthCurve
    sr: int
    first: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the result is the transfer alone, at all times."""
        return self.strength.constant == 1

    def since(self, first: int) -> "Weights":
        """Return the weights of a stretch that begins at a sample of the track."""
        return replace(self, first=first)

    def at(self, n: int, hop_length: int = 1) -> FloatArray:
        """Return the weights, 0 to 1, of `n` frames or samples: shape (n,), float32."""
        constant = self.strength.constant
        if constant is not None:
            return np.full(n, constant**_EXPONENT, np.float32)
        times_s = (self.first + np.arange(n) * hop_length) / self.sr
        weights: FloatArray = self.strength.at(times_s) ** np.float32(_EXPONENT)
        return weights
