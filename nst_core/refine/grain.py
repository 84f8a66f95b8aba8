"""Grain: band powers without their slow part, compressed; and its gradient.

Two grains are compared, because each misses what the other hears: powers divided by the music's
envelope and then by their own slow mean, and powers divided by their own faster mean.
"""

from dataclasses import dataclass

import numba
import numpy as np

from nst_core.arrays import FloatArray

_CAP = np.float32(50.0)
_EXPONENT = np.float32(0.3)
_TINY = np.float32(1e-9)
_COMPRESSED_FLOOR = np.float32(1e-6)
_SLOW_FLOOR = np.float32(1e-3)
"""Part of a band's mean that is added to the slow part: silence has no grain."""


@dataclass(frozen=True)
class GrainKind:
    """How slow parts are found: a moving mean of an odd number of frames, one or more times."""

    n_frames: int
    n_passes: int


@dataclass(frozen=True)
class Grain:
    """Grain of band powers, shape (n_frames, n_bands), and what its gradient needs.

    Attributes
    ----------
    values
        ``(min(ratio, cap) + floor) ** 0.3``.
    ratio, inverse_slow
        Powers over their slow part, and the reciprocal of this part.
    inverse_envelope
        Factor on the powers before all else; None: 1.
    """

    kind: GrainKind
    values: FloatArray
    ratio: FloatArray
    inverse_slow: FloatArray
    inverse_envelope: FloatArray | None

    @classmethod
    def of(
        cls, powers: FloatArray, kind: GrainKind, inverse_envelope: FloatArray | None = None
    ) -> "Grain":
        """Return the grain of `powers`, shape (n_frames, n_bands), float32, > 0."""
        x = powers if inverse_envelope is None else powers * inverse_envelope
        slow = x
        for _ in range(kind.n_passes):
            slow = moving_mean(slow, kind.n_frames)
        slow += _SLOW_FLOOR * slow.mean(axis=0) + _TINY
        inverse = np.reciprocal(slow, out=slow)
        ratio = x * inverse
        values = np.minimum(ratio, _CAP)
        values += _COMPRESSED_FLOOR
        np.log(values, out=values)
        values *= _EXPONENT
        np.exp(values, out=values)
        return cls(kind, values, ratio, inverse, inverse_envelope)

    def gradient(self, of_values: FloatArray) -> FloatArray:
        """Return the gradient with respect to the powers, from that of the values."""
        of_ratio = of_values * self.values
        of_ratio *= _EXPONENT
        of_ratio /= self.ratio + _COMPRESSED_FLOOR
        of_ratio *= self.ratio < _CAP
        found: FloatArray = of_ratio * self.inverse_slow
        of_slow = found * self.ratio
        np.negative(of_slow, out=of_slow)
        of_slow += _SLOW_FLOOR * of_slow.mean(axis=0)
        for _ in range(self.kind.n_passes):
            of_slow = moving_mean_adjoint(of_slow, self.kind.n_frames)
        found += of_slow
        if self.inverse_envelope is not None:
            found *= self.inverse_envelope
        return found


def moving_mean(x: FloatArray, n_frames: int) -> FloatArray:
    """Return the mean over a centred window along time; at the edges, over the part inside."""
    found = np.empty_like(x)
    _moving_sum(x, n_frames // 2, found)
    found *= _inverse_counts(len(x), n_frames)[:, None]
    return found


def moving_mean_adjoint(x: FloatArray, n_frames: int) -> FloatArray:
    """Apply the transpose of `moving_mean`, for gradients."""
    found = np.empty_like(x)
    _moving_sum(x * _inverse_counts(len(x), n_frames)[:, None], n_frames // 2, found)
    return found


def _inverse_counts(n: int, n_frames: int) -> FloatArray:
    t, half = np.arange(n), n_frames // 2
    counts = 1 + np.minimum(t + half, n - 1) - np.maximum(t - half, 0)
    return (1 / counts).astype(np.float32)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _moving_sum(x: FloatArray, half: int, out: FloatArray) -> None:
    """Sum over ``2 * half + 1`` frames, running in double precision so that nothing drifts."""
    n_frames, n_bands = x.shape
    running = np.zeros(n_bands)
    for t in range(min(half, n_frames)):
        for b in range(n_bands):
            running[b] += x[t, b]
    for t in range(n_frames):
        if t + half < n_frames:
            for b in range(n_bands):
                running[b] += x[t + half, b]
        if t - half - 1 >= 0:
            for b in range(n_bands):
                running[b] -= x[t - half - 1, b]
        for b in range(n_bands):
            out[t, b] = running[b]
