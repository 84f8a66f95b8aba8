"""Repeat a texture of any length without a seam."""

from dataclasses import dataclass

import numpy as np

from nst_core.arrays import FloatArray

_MAX_FADE_S = 1.0


@dataclass(frozen=True)
class Loop:
    """Part of a repeated texture; only requested samples are computed.

    End and beginning cross-fade over a second, or a quarter of the clip if that is shorter, at
    constant power, because two parts of a texture are uncorrelated.

    Attributes
    ----------
    clip, period : shape (any,) or (any, n_channels), float32
        Samples that are heard first, and those that are repeated after them.
    first, n_samples
        Start of the part in the repeated texture, and its length.
    """

    clip: FloatArray
    period: FloatArray
    n_samples: int
    first: int = 0

    @classmethod
    def of(cls, y: FloatArray, n_samples: int, sr: int, *, first: int = 0) -> "Loop":
        """Return a loop of a texture, float32, from its sample `first` on; channels are kept."""
        if len(y) >= first + n_samples:
            return cls(y, y, n_samples, first)
        fade = min(int(_MAX_FADE_S * sr), len(y) // 4)
        period = y[: len(y) - fade].copy()
        ramp = np.linspace(0, np.pi / 2, fade, endpoint=False, dtype=np.float32)
        ramp = ramp.reshape(-1, *[1] * (y.ndim - 1))
        period[:fade] = y[:fade] * np.sin(ramp) + y[len(y) - fade :] * np.cos(ramp)
        return cls(y[: len(period)], period, n_samples, first)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the full array."""
        return (self.n_samples, *self.clip.shape[1:])

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


def loop_to_length(y: FloatArray, n_samples: int, sr: int) -> FloatArray:
    """Return a texture of shape (any,) or (any, n_channels), repeated as by `Loop`."""
    return Loop.of(y, n_samples, sr)[:]
