"""Phase from magnitude: real-time phase-gradient heap integration, in linear time.

Průša and Søndergaard ("Real-Time Spectrogram Inversion Using Phase Gradient Heap
Integration", DAFx 2016) integrate the phase gradient from the loudest neighbour
first, with a heap. Between two frames the bins form a line, and on a line the
heap's order is a max-bottleneck problem: one pass upwards and one downwards decide
for each bin whether it hangs on its predecessor in time or on a neighbour in
frequency. The result is the same without the heap.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from nst_core.stft import FloatArray

_HANN_GAMMA = 0.25645
"""Time-frequency ratio of the Gaussian nearest to a Hann window, over n_fft**2
(Průša, Balazs, Søndergaard 2017, table I)."""

_FROM_PAST, _FROM_BELOW, _FROM_ABOVE = 0, 1, 2
_TWO_PI = np.float32(2 * np.pi)
_PI = np.float32(np.pi)
_HALF = np.float32(0.5)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _choose_parents(
    past: FloatArray, present: FloatArray, strength: FloatArray, parents: npt.NDArray[np.int8]
) -> None:
    """For each bin, the neighbour from which the widest (loudest) path comes."""
    n_bins = len(present)
    strength[0], parents[0] = past[0], _FROM_PAST
    for k in range(1, n_bins):
        through = min(strength[k - 1], present[k - 1])
        if past[k] >= through:
            strength[k], parents[k] = past[k], _FROM_PAST
        else:
            strength[k], parents[k] = through, _FROM_BELOW
    from_above = past[n_bins - 1]
    for k in range(n_bins - 2, -1, -1):
        through = min(from_above, present[k + 1])
        from_above = max(past[k], through)
        if strength[k] < from_above:
            parents[k] = _FROM_PAST if past[k] >= through else _FROM_ABOVE
    if strength[n_bins - 1] < past[n_bins - 1]:
        parents[n_bins - 1] = _FROM_PAST


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _wrap(angle: np.float32) -> np.float32:
    turns: np.float32 = np.floor(angle / _TWO_PI)
    return angle - _TWO_PI * turns


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _integrate(  # noqa: C901  # compiled: one pass over bins per step, in order
    S: FloatArray, log_S: FloatArray, hop: int, gamma: float, phase: FloatArray
) -> None:
    n_frames, n_bins = S.shape
    n_fft = 2 * (n_bins - 1)
    time_scale = np.float32(hop * n_fft / (2 * gamma))
    bin_scale = np.float32(-gamma / (2 * hop * n_fft))
    advance = np.empty(n_bins, np.float32)
    for k in range(n_bins):
        advance[k] = _TWO_PI * np.float32((k * hop) % n_fft) / np.float32(n_fft)
    strength = np.empty(n_bins, np.float32)
    parents = np.empty(n_bins, np.int8)
    along_time = np.zeros(n_bins, np.float32)
    along_time_past = np.zeros(n_bins, np.float32)
    along_bins = np.empty(n_bins, np.float32)
    for t in range(n_frames):
        before, after = max(t - 1, 0), min(t + 1, n_frames - 1)
        for k in range(1, n_bins - 1):
            along_time[k] = (log_S[t, k + 1] - log_S[t, k - 1]) * time_scale
        for k in range(n_bins):
            # -pi: the phase refers to the first sample of a frame, not to its middle.
            along_bins[k] = (log_S[after, k] - log_S[before, k]) * bin_scale - _PI
        if t == 0:
            phase[0, 0] = 0
            for k in range(1, n_bins):
                step = _HALF * (along_bins[k - 1] + along_bins[k])
                phase[0, k] = _wrap(phase[0, k - 1] + step)
        else:
            _choose_parents(S[t - 1], S[t], strength, parents)
            for k in range(n_bins):
                if parents[k] == _FROM_PAST:
                    step = _HALF * (along_time_past[k] + along_time[k]) + advance[k]
                    phase[t, k] = _wrap(phase[t - 1, k] + step)
                elif parents[k] == _FROM_BELOW:
                    step = _HALF * (along_bins[k - 1] + along_bins[k])
                    phase[t, k] = _wrap(phase[t, k - 1] + step)
            for k in range(n_bins - 2, -1, -1):
                if parents[k] == _FROM_ABOVE:
                    step = _HALF * (along_bins[k + 1] + along_bins[k])
                    phase[t, k] = _wrap(phase[t, k + 1] - step)
        along_time_past[:] = along_time


def phase_from_magnitude(S: FloatArray, hop_length: int, *, floor: float = 1e-5) -> FloatArray:
    """Estimate the phase of an STFT from its magnitude alone.

    Parameters
    ----------
    S : shape (n_frames, n_bins), float32, >= 0
        Magnitude under a periodic Hann window of ``2 (n_bins - 1)`` samples.
    hop_length
        Samples between frames.
    floor
        Added to the magnitude before the logarithm.

    Returns
    -------
    shape (n_frames, n_bins), float32
        Radians in 0..2 pi, in the frame-start convention of `nst_core.stft`.
        Deterministic, and causal but for one frame.
    """
    phase = np.zeros_like(S)
    n_fft = 2 * (S.shape[1] - 1)
    gamma = _HANN_GAMMA * math.pow(n_fft, 2)
    _integrate(S, np.log(S + np.float32(floor)), hop_length, gamma, phase)
    return phase
