"""Filters of second-order sections: K-weighting, Butterworth high-pass, and running them.

SciPy has all of it, but its import would take longer than the transfer of a short piece.

A section is a row ``b0, b1, b2, a1, a2`` with ``a0 = 1``. All are bilinear transforms of analogue
prototypes, with the frequency ``tan(pi hz / sr)``; they are in Bristow-Johnson's "Cookbook formulae
for audio equalizer biquad filter coefficients".
"""

import math

import numba
import numpy as np
import numpy.typing as npt

Sections = npt.NDArray[np.float64]
"""Sections that follow each other, shape (n_sections, 5)."""
State = npt.NDArray[np.float64]
"""What sections remember of the samples so far, shape (n_channels, n_sections, 2)."""


def k_weighting(sr: int) -> Sections:
    """Return the K-weighting of ITU-R BS.1770-4: a shelf for the head, then a high-pass.

    The standard has a table for 48 kHz and asks for the same response at other rates. A shelf of
    4 dB at 1.5 kHz and a high-pass at 38 Hz, pyloudnorm's, meet the table but for one constant: the
    high-pass has a gain of 1 at high frequencies. The table's has 1.005, which is 0.04 dB.
    """
    shelf = _high_shelf(1500.0, sr, gain_db=4.0, quality=1 / math.sqrt(2))
    return np.array([shelf, _high_pass(38.0, sr, quality=0.5)])


def butterworth_high_pass(order: int, cutoff_hz: float, sr: int) -> Sections:
    """Return a Butterworth high-pass of even order, the least resonant section first."""
    angles = [math.pi * (k + 0.5) / order for k in reversed(range(order // 2))]
    return np.array([_high_pass(cutoff_hz, sr, quality=0.5 / math.sin(a)) for a in angles])


def at_rest(sections: Sections, n_channels: int) -> State:
    """Return the state of sections that have heard nothing."""
    return np.zeros((n_channels, len(sections), 2))


@numba.njit(error_model="numpy", cache=True, nogil=True)
def run_sections(sections: Sections, y: npt.NDArray[np.float64], state: State) -> None:
    """Filter a block of samples in place, in transposed direct form II.

    Parameters
    ----------
    sections
        From this module.
    y : shape (n_samples, n_channels), float64
        Replaced by the filtered samples.
    state
        `at_rest` before the first block; changed, for the next block.
    """
    # Sections in the inner loop: the processor starts a sample before it has finished the last.
    for i in range(len(y)):
        for channel in range(y.shape[1]):
            x = y[i, channel]
            for section in range(len(sections)):
                c, z = sections[section], state[channel, section]
                out = c[0] * x + z[0]
                z[0] = c[1] * x - c[3] * out + z[1]
                z[1] = c[2] * x - c[4] * out
                x = out
            y[i, channel] = x


def _high_pass(hz: float, sr: int, *, quality: float) -> list[float]:
    k = math.tan(math.pi * hz / sr)
    a0 = 1 + k / quality + k * k
    gain = 1 / a0
    return [gain, -2 * gain, gain, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]


def _high_shelf(hz: float, sr: int, *, gain_db: float, quality: float) -> list[float]:
    k = math.tan(math.pi * hz / sr)
    a = 10 ** (gain_db / 40)  # the gain at `hz`; half of the shelf's
    slope = math.sqrt(a) * k / quality
    a0 = 1 + slope + a * k * k
    return [
        a * (a + slope + k * k) / a0,
        2 * a * (k * k - a) / a0,
        a * (a - slope + k * k) / a0,
        2 * (a * k * k - 1) / a0,
        (1 - slope + a * k * k) / a0,
    ]
