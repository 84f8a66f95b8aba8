"""Statistics of whitened grain, and their gradient in closed form.

Moments, covariance and lag products after McDermott & Simoncelli ("Sound Texture Perception via
Statistics of the Auditory Periphery", Neuron 2011), on ERB bands, and the tails of the
distribution: how far drops and gaps go beyond a few deviations.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray

_DEVIATION_FLOOR = 0.3
"""Lower bound of a deviation, as a share of the mean one: a nearly constant band must not count
as much as the others."""
_TINY = np.float32(1e-9)
_N_MOMENTS = 4
_ZERO, _TWO, _THREE = np.float32(0), np.float32(2), np.float32(3)


@dataclass(frozen=True)
class Whitening:
    """Mean and reciprocal deviation of the ambience's grain, per band."""

    mean: FloatArray
    inverse_deviation: FloatArray

    @classmethod
    def of(cls, grain: FloatArray) -> "Whitening":
        """Measure the ambience's grain, shape (n_frames, n_bands)."""
        deviation = grain.std(axis=0)
        deviation = np.maximum(deviation, _DEVIATION_FLOOR * deviation.mean() + _TINY)
        return cls(grain.mean(axis=0), (1 / deviation).astype(np.float32))


@dataclass(frozen=True)
class Statistics:
    """Statistics of one grain.

    Attributes
    ----------
    rows : shape (n_rows, n_bands), float32
        Mean, variance, variance above the mean, third moment; lag products; for each tail edge
        the mean excess above and below.
    covariance : shape (n_bands, n_bands), float32
        Divided by the root of the number of bands.
    """

    rows: FloatArray
    covariance: FloatArray

    def distances(self, other: "Statistics") -> FloatArray:
        """Return the squared distance of each row, and at last of the covariance."""
        of_rows = np.square(self.rows - other.rows).sum(axis=1, dtype=np.float64)
        of_covariance = np.square(self.covariance - other.covariance).sum(dtype=np.float64)
        return np.append(of_rows, of_covariance).astype(np.float32)


@dataclass(frozen=True)
class Measure:
    """Measures grain of one whitening, in the frames in which the music sounds.

    Attributes
    ----------
    heard : shape (n_frames,), bool
    lags
        Frames, each 1 or more.
    tails
        Edges in deviations.
    """

    whitening: Whitening
    heard: npt.NDArray[np.bool_]
    lags: npt.NDArray[np.int64]
    tails: FloatArray

    def statistics(self, grain: FloatArray) -> tuple[Statistics, FloatArray]:
        """Return the statistics, and the centred whitened grain for `gradient`."""
        n_bands = grain.shape[1]
        rows = np.zeros((_N_MOMENTS + len(self.lags) + 2 * len(self.tails), n_bands))
        centred = np.empty_like(grain)
        white = self.whitening
        _measure(
            grain, white.mean, white.inverse_deviation, self.heard, self.lags, self.tails,
            centred, rows,
        )  # fmt: skip
        covariance = (centred.T @ centred) / np.float32(self._n_heard * np.sqrt(n_bands))
        return Statistics(rows.astype(np.float32), covariance), centred

    def gradient(self, centred: FloatArray, of_statistics: Statistics) -> FloatArray:
        """Return the gradient with respect to the grain, from that of its statistics."""
        n_bands = centred.shape[1]
        both_ways = of_statistics.covariance + of_statistics.covariance.T
        both_ways /= np.float32(self._n_heard * np.sqrt(n_bands))
        found: FloatArray = centred @ both_ways
        rows = of_statistics.rows / np.float32(self._n_heard)
        inverse = self.whitening.inverse_deviation
        _spread_back(centred, self.heard, self.lags, self.tails, rows, inverse, found)
        return found

    @property
    def _n_heard(self) -> int:
        return int(self.heard.sum())


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _measure(
    grain: FloatArray,
    mean: FloatArray,
    inverse: FloatArray,
    heard: npt.NDArray[np.bool_],
    lags: npt.NDArray[np.int64],
    tails: FloatArray,
    centred: FloatArray,
    rows: npt.NDArray[np.float64],
) -> None:
    """Fill `centred`, with zeros where nothing is heard, and `rows`, summed in double precision."""
    n_bands = grain.shape[1]
    centred[:] = 0
    for t in range(len(heard)):
        if not heard[t]:
            continue
        for b in range(n_bands):
            x = (grain[t, b] - mean[b]) * inverse[b]
            centred[t, b] = x
            rows[0, b] += x
    n_heard = heard.sum()
    rows[0] /= n_heard
    average = rows[0].astype(np.float32)
    for t in range(len(heard)):
        if not heard[t]:
            continue
        centred[t] -= average
        _add_moments(centred[t], rows)
        for i in range(len(lags)):
            if t >= lags[i]:
                earlier, row = centred[t - lags[i]], rows[4 + i]
                for b in range(n_bands):
                    row[b] += centred[t, b] * earlier[b]
        _add_tails(centred[t], tails, rows[4 + len(lags) :])
    rows[1:] /= n_heard


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_moments(c: FloatArray, rows: npt.NDArray[np.float64]) -> None:
    variance, one_sided, third = rows[1], rows[2], rows[3]
    for b in range(len(c)):
        square = c[b] * c[b]
        variance[b] += square
        one_sided[b] += square if c[b] > 0 else _ZERO
        third[b] += square * c[b]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_tails(c: FloatArray, tails: FloatArray, rows: npt.NDArray[np.float64]) -> None:
    for i in range(len(tails)):
        above, below, edge = rows[2 * i], rows[2 * i + 1], tails[i]
        for b in range(len(c)):
            over, under = c[b] - edge, -c[b] - edge
            above[b] += over if over > 0 else _ZERO
            below[b] += under if under > 0 else _ZERO


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _spread_back(
    centred: FloatArray,
    heard: npt.NDArray[np.bool_],
    lags: npt.NDArray[np.int64],
    tails: FloatArray,
    rows: FloatArray,
    inverse: FloatArray,
    found: FloatArray,
) -> None:
    """Add the gradient of the rows to that of the covariance, in place."""
    n_frames, n_bands = centred.shape
    totals = np.zeros(n_bands)
    for t in range(len(heard)):
        if not heard[t]:
            continue
        out = found[t]
        _add_slopes(centred[t], rows, out)
        for i in range(len(lags)):
            for other in (t - lags[i], t + lags[i]):
                if 0 <= other < n_frames:
                    for b in range(n_bands):
                        out[b] += rows[4 + i, b] * centred[other, b]
        _add_tail_slopes(centred[t], tails, rows[4 + len(lags) :], out)
        totals += out
    # Each frame also moves the mean that is subtracted from all.
    shift = (rows[0] - totals / heard.sum()).astype(np.float32)
    for t in range(n_frames):
        for b in range(n_bands):
            found[t, b] = (found[t, b] + shift[b]) * inverse[b] if heard[t] else _ZERO


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_slopes(c: FloatArray, rows: FloatArray, out: FloatArray) -> None:
    variance, one_sided, third = rows[1], rows[2], rows[3]
    for b in range(len(c)):
        second = variance[b] + (one_sided[b] if c[b] > 0 else _ZERO)
        out[b] += c[b] * (_TWO * second + _THREE * third[b] * c[b])


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_tail_slopes(c: FloatArray, tails: FloatArray, rows: FloatArray, out: FloatArray) -> None:
    for i in range(len(tails)):
        above, below, edge = rows[2 * i], rows[2 * i + 1], tails[i]
        for b in range(len(c)):
            out[b] += above[b] if c[b] > edge else _ZERO
            out[b] -= below[b] if -c[b] > edge else _ZERO
