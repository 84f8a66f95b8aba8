"""Onsets: rises of the log level, in groups of bands and in total; and their gradient."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nst_core.arrays import FloatArray

_N_GROUPS = 8
_STEP = 2
"""Smoothed pairs of frames between which a level rises."""
_MEAN_FLOOR, _TINY = np.float32(1e-3), np.float32(1e-7)
_QUARTER, _HALF = np.float32(0.25), np.float32(0.5)


@dataclass(frozen=True)
class Onsets:
    """Rises per pair of frames: shape (n_pairs, n_groups) in groups, (n_pairs,) in total."""

    groups: FloatArray
    total: FloatArray

    def distances(self, other: "Onsets") -> tuple[float, float]:
        """Return the squared distances of the groups and of the totals."""
        of_groups = np.square(self.groups - other.groups).sum(dtype=np.float64)
        of_total = np.square(self.total - other.total).sum(dtype=np.float64)
        return float(of_groups), float(of_total)


@dataclass(frozen=True)
class Rises:
    """Rises of every band, shape (n_pairs, n_bands), and what their gradient needs."""

    rises: FloatArray
    inverse_levels: FloatArray
    n_frames: int

    @classmethod
    def of(cls, powers: FloatArray) -> "Rises":
        """Measure band powers, shape (n_frames, n_bands), of at least 10 frames."""
        n_pairs = len(powers) // 2
        pairs = powers[: 2 * n_pairs : 2] + powers[1 : 2 * n_pairs : 2]
        pairs *= _HALF
        levels = pairs[:-2] + 2 * pairs[1:-1]
        levels += pairs[2:]
        levels *= _QUARTER
        levels += _MEAN_FLOOR * levels.mean(axis=0) + _TINY
        logs = np.log(levels)
        rises = np.maximum(logs[_STEP:] - logs[:-_STEP], 0)
        return cls(rises, np.reciprocal(levels, out=levels), len(powers))

    @property
    def onsets(self) -> Onsets:
        """Means of the rises over groups of bands and over all bands."""
        return Onsets(self.rises @ _groups(self.rises.shape[1]), self.rises.mean(axis=1))

    def gradient(self, of_onsets: Onsets) -> FloatArray:
        """Return the gradient with respect to the powers, from that of the onsets."""
        n_bands = self.rises.shape[1]
        of_rises = of_onsets.groups @ _groups(n_bands).T
        of_rises += (of_onsets.total / np.float32(n_bands))[:, None]
        of_rises *= self.rises > 0
        of_levels = np.zeros_like(self.inverse_levels)
        of_levels[_STEP:] += of_rises
        of_levels[:-_STEP] -= of_rises
        of_levels *= self.inverse_levels
        of_levels += _MEAN_FLOOR * of_levels.mean(axis=0)
        of_levels *= _QUARTER * _HALF
        n_pairs = len(of_levels) + 2
        of_pairs = np.zeros((n_pairs, n_bands), np.float32)
        of_pairs[:-2] += of_levels
        of_pairs[1:-1] += 2 * of_levels
        of_pairs[2:] += of_levels
        found = np.zeros((self.n_frames, n_bands), np.float32)
        found[: 2 * n_pairs : 2] = of_pairs
        found[1 : 2 * n_pairs : 2] = of_pairs
        return found


@lru_cache(maxsize=4)
def _groups(n_bands: int) -> FloatArray:
    """Return the matrix from bands to the means of equal groups, shape (n_bands, n_groups)."""
    members = np.eye(_N_GROUPS)[np.arange(n_bands) * _N_GROUPS // n_bands]
    means: FloatArray = (members / members.sum(axis=0)).astype(np.float32)
    return means
