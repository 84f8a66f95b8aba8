"""Phase from magnitude: real-time phase-gradient heap integration, in linear time.

Průša and Søndergaard ("Real-Time Spectrogram Inversion Using Phase Gradient Heap
Integration", DAFx 2016) integrate the phase gradient from the loudest neighbour
first, with a heap. Between two frames the bins form a line, and on a line the
heap's order is a max-bottleneck problem: one pass upwards and one downwards decide
for each bin whether its phase comes from its predecessor in time or from a neighbour
in frequency. The result is the same as with the heap.
"""

import math

import numba
import numpy as np

from nst_core.arrays import FloatArray

_HANN_GAMMA = 0.25645
"""Time-frequency ratio of the Gaussian nearest to a Hann window, over n_fft**2
(Průša, Balazs, Søndergaard 2017, table I)."""

_FLOOR = np.float32(1e-5)
"""Added to a magnitude before its logarithm is taken."""
_TWO_PI = np.float32(2 * np.pi)
_HALF = np.float32(0.5)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _widest_paths(
    past: FloatArray, present: FloatArray, from_below: FloatArray, from_above: FloatArray
) -> None:
    """Find the loudness of the widest path from the past to each bin, from below and above."""
    n_bins = len(present)
    from_below[0], from_above[n_bins - 1] = past[0], past[n_bins - 1]
    up, down = past[0], past[n_bins - 1]
    for k in range(1, n_bins):
        mirror = n_bins - 1 - k
        up = max(past[k], min(up, present[k - 1]))
        down = max(past[mirror], min(down, present[mirror + 1]))
        from_below[k], from_above[mirror] = up, down


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _hang_on_neighbours(
    past: FloatArray,
    from_below: FloatArray,
    from_above: FloatArray,
    steps: FloatArray,
    turns: FloatArray,
) -> None:
    """Replace the phases that do not come from the past; `steps` are those from the bin below."""
    n_bins = len(turns)
    for k in range(1, n_bins):
        if from_below[k] > past[k] and from_below[k] >= from_above[k]:
            turns[k] = turns[k - 1] + steps[k]
    for k in range(n_bins - 2, -1, -1):
        if from_above[k] > from_below[k]:
            turns[k] = turns[k + 1] - steps[k + 1]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _integrate(S: FloatArray, log_S: FloatArray, hop: int, gamma: float, phase: FloatArray) -> None:
    """Fill `phase`. The unit is a turn, in which wrapping needs no division."""
    n_frames, n_bins = S.shape
    n_fft = 2 * (n_bins - 1)
    time_scale = np.float32(hop * n_fft / (2 * gamma) / (2 * np.pi))
    bin_scale = np.float32(-gamma / (2 * hop * n_fft) / (2 * np.pi))
    advance = np.empty(n_bins, np.float32)
    for k in range(n_bins):
        advance[k] = np.float32((k * hop) % n_fft) / np.float32(n_fft)
    from_below, from_above = np.empty(n_bins, np.float32), np.empty(n_bins, np.float32)
    along_time, along_time_past = np.zeros(n_bins, np.float32), np.zeros(n_bins, np.float32)
    along_bins, steps = np.empty(n_bins, np.float32), np.zeros(n_bins, np.float32)
    turns = np.zeros(n_bins, np.float32)
    for t in range(n_frames):
        here, before, after = log_S[t], log_S[max(t - 1, 0)], log_S[min(t + 1, n_frames - 1)]
        for k in range(1, n_bins - 1):
            along_time[k] = (here[k + 1] - here[k - 1]) * time_scale
        for k in range(n_bins):
            # Half a turn, because the phase refers to a frame's first sample instead of its middle.
            along_bins[k] = (after[k] - before[k]) * bin_scale - _HALF
        for k in range(1, n_bins):
            steps[k] = _HALF * (along_bins[k - 1] + along_bins[k])
        if t == 0:
            for k in range(1, n_bins):
                turns[k] = turns[k - 1] + steps[k]
        else:
            for k in range(n_bins):
                turns[k] += _HALF * (along_time_past[k] + along_time[k]) + advance[k]
            _widest_paths(S[t - 1], S[t], from_below, from_above)
            _hang_on_neighbours(S[t - 1], from_below, from_above, steps, turns)
        for k in range(n_bins):
            turns[k] -= np.floor(turns[k])
            phase[t, k] = turns[k] * _TWO_PI
            along_time_past[k] = along_time[k]


def phase_from_magnitude(S: FloatArray, hop_length: int) -> FloatArray:
    """Estimate the phase of an STFT from its magnitude.

    Parameters
    ----------
    S : shape (n_frames, n_bins), float32, >= 0
        Magnitude under a periodic Hann window of ``2 (n_bins - 1)`` samples.
    hop_length
        Samples between frames.

    Returns
    -------
    shape (n_frames, n_bins), float32
        Radians in 0..2 pi, in the frame-start convention of `nst_core.spectral.stft`.
        Deterministic, and causal except for one frame.
    """
    phase = np.zeros_like(S)
    n_fft = 2 * (S.shape[1] - 1)
    gamma = _HANN_GAMMA * math.pow(n_fft, 2)
    _integrate(S, np.log(S + _FLOOR), hop_length, gamma, phase)
    return phase
