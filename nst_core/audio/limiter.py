"""Look-ahead limiter: keep true peaks below a ceiling, and leave the rest as loud as before.

A minimum filter looks ahead for the gain that each sample needs. A Hann window no longer than the
look-ahead smooths it, so that the smooth gain is still low enough at every peak.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np

from nst_core.arrays import Waveform
from nst_core.audio.true_peak import block_parts, envelope
from nst_core.streaming.arrays import Sliceable, Spool

LOOK_AHEAD_S = 0.005
_HOLD_S = 0.005
"""Time that the minimum lasts after a peak. With the look-ahead it spans 10 ms, half a period of
50 Hz, so that the gain stays constant under a bass note and does not distort it."""
_TILE = 128


@dataclass(frozen=True)
class Limited:
    """Limited signal.

    Attributes
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
    limited_db
        Largest gain reduction by the limiter; 0 if it did nothing.
    """

    y: Sliceable
    limited_db: float


def limit(
    y: Sliceable, sr: int, *, ceiling_dbtp: float, gain_db: float = 0.0, scratch: Path | None = None
) -> Limited:
    """Amplify, then limit.

    All channels get the same gain, which preserves the stereo image. Samples that the limiter does
    not change equal the amplified input exactly.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
    sr
        Hz.
    ceiling_dbtp
        Highest true peak, as `nst_core.audio.true_peak` reads it.
    gain_db
        Gain before the limiter.
    scratch
        Folder for a long result; None keeps it in memory.
    """
    ahead = max(1, round(LOOK_AHEAD_S / 2 * sr))
    behind = ahead + round(_HOLD_S * sr)
    window = np.hanning(2 * ahead + 3)[1:-1]  # without the zeros at its ends
    window = (window / window.sum()).astype(np.float32)
    ceiling, gain = np.float32(10 ** (ceiling_dbtp / 20)), np.float32(10 ** (gain_db / 20))
    spool, most = Spool(scratch), 0.0
    for part in block_parts(len(y)):
        around = slice(part.start - ahead - behind, part.stop + 2 * ahead)
        level = envelope(y, around, float(ceiling), gain=float(gain))
        block = y[part] * gain
        if level.max() > ceiling:
            needed = (1 - ceiling / np.maximum(level, ceiling)).astype(np.float32, copy=False)
            cut = _smoothed(_highest(needed, ahead + behind + 1), window, _TILE)
            most = max(most, float(cut.max()))
            block -= block * cut.reshape(-1, *[1] * (block.ndim - 1))
        spool.add(block)
    return Limited(spool.whole(), abs(20 * math.log10(1 - most)))


def _highest(x: Waveform, n: int) -> Waveform:
    """Return the maximum of every `n` neighbours, doubling the width at each step."""
    width = 1
    while 2 * width <= n:
        x = np.maximum(x[:-width], x[width:])
        width *= 2
    return np.maximum(x[: len(x) - (n - width)], x[n - width :])


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _smoothed(x: Waveform, window: Waveform, tile: int) -> Waveform:
    """Return weighted sums of neighbours; exactly 0 where all neighbours are 0."""
    n_taps = len(window)
    found = np.zeros(len(x) - n_taps + 1, np.float32)
    for start in range(0, len(found), tile):
        y = found[start : start + tile]
        m = len(y)
        if not x[start : start + m + n_taps - 1].any():
            continue
        for k in range(n_taps):
            weight, later = window[k], x[start + k : start + k + m]
            for i in range(m):
                y[i] += weight * later[i]
    return found
