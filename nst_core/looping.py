"""A texture of any length, repeated without a seam."""

from dataclasses import dataclass

import numpy as np

from nst_core.errors import SignalError
from nst_core.levels import set_rms
from nst_core.spool import Sliceable
from nst_core.stft import FloatArray

_MAX_FADE_S = 1.0


@dataclass(frozen=True)
class Loop:
    """A stretch of a repeated texture, of which only what is asked for is made.

    End and beginning cross-fade at constant power over a second, or a quarter of the clip
    if that is shorter: two stretches of one texture are uncorrelated.

    Attributes
    ----------
    clip, period : shape (any,), float32
        What is heard first, and what follows it again and again.
    first, n_samples
        Where the stretch begins in the repeated texture, and how long it is.
    """

    clip: FloatArray
    period: FloatArray
    n_samples: int
    first: int = 0

    @classmethod
    def of(cls, y: FloatArray, n_samples: int, sr: int, *, first: int = 0) -> "Loop":
        """Of a texture of shape (any,), float32, from its sample `first` on."""
        if len(y) >= first + n_samples:
            return cls(y, y, n_samples, first)
        fade = min(int(_MAX_FADE_S * sr), len(y) // 4)
        period = y[: len(y) - fade].copy()
        ramp = np.linspace(0, np.pi / 2, fade, endpoint=False, dtype=np.float32)
        period[:fade] = y[:fade] * np.sin(ramp) + y[len(y) - fade :] * np.cos(ramp)
        return cls(y[: len(period)], period, n_samples, first)

    @property
    def shape(self) -> tuple[int]:
        """As of the array that all of it would be."""
        return (self.n_samples,)

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, part: slice) -> FloatArray:
        start, stop, _ = part.indices(self.n_samples)
        start, stop = self.first + start, self.first + stop
        y = self.clip[start:stop]
        if stop > len(self.clip):
            again = np.arange(max(start, len(self.clip)), stop) % len(self.period)
            y = np.concatenate([y, self.period[again]])
        return y

    def at_level(self, level: float) -> Sliceable:
        """The same at a root mean square of `level`, full scale 1.

        Raises
        ------
        SignalError
            ``silent``: the texture may sound elsewhere, here it does not.
        """
        try:
            return set_rms(self, level)
        except SignalError:
            raise SignalError(
                f"the ambience is silent from sample {self.first} on, for as long as the music; "
                "use one that sounds throughout, or cut its silence off",
                code="silent",
            ) from None


def loop_to_length(y: FloatArray, n_samples: int, sr: int) -> FloatArray:
    """Repeat a texture of shape (any,), float32, as `Loop` does; shape (n_samples,), float32."""
    return Loop.of(y, n_samples, sr)[:]
