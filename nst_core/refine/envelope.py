"""Slow envelope: the log level of every band, smoothed and without its mean; and its gradient."""

from dataclasses import dataclass

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.refine.grain import moving_mean, moving_mean_adjoint

_MEAN_FLOOR, _TINY = np.float32(1e-3), np.float32(1e-9)


@dataclass(frozen=True)
class Envelope:
    """Slow envelope of band powers, shape (n_frames, n_bands), and what its gradient needs."""

    values: FloatArray
    inverse_levels: FloatArray
    n_frames: int

    @classmethod
    def of(cls, powers: FloatArray, n_frames: int) -> "Envelope":
        """Smooth over an odd number of frames; `powers` has shape (n_frames, n_bands)."""
        levels = powers + (_MEAN_FLOOR * powers.mean(axis=0) + _TINY)
        values = moving_mean(np.log(levels), n_frames)
        values -= values.mean(axis=0)
        return cls(values, np.reciprocal(levels, out=levels), n_frames)

    def gradient(self, of_values: FloatArray) -> FloatArray:
        """Return the gradient with respect to the powers, from that of the values."""
        found = moving_mean_adjoint(of_values - of_values.mean(axis=0), self.n_frames)
        found *= self.inverse_levels
        found += _MEAN_FLOOR * found.mean(axis=0)
        return found
