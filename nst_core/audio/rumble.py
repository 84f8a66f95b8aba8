"""Rumble filter: a transfer adds sound below 20 Hz, inaudible but harmful to loudspeakers."""

import math
from pathlib import Path

import numpy as np

from nst_core.audio.biquads import at_rest, butterworth_high_pass, run_sections
from nst_core.streaming.arrays import Sliceable, Spool, blocks

CUTOFF_HZ = 25.0
_ORDER = 6
"""Filter order: at least 11.9 dB down below 20 Hz, and 0.02 dB at 40 Hz. A transfer raises levels
below 20 Hz by up to 18 dB, mostly far lower, so the filter removes 19 to 28 dB of it."""


def without_rumble(y: Sliceable, sr: int, *, scratch: Path | None = None) -> Sliceable:
    """High-pass a signal at 25 Hz with a causal Butterworth filter that starts at rest.

    Parameters
    ----------
    y : shape (n_samples,) or (n_samples, n_channels), float32
    sr
        Hz, above 50.
    scratch
        Folder for a long result; None keeps it in memory.
    """
    sections = butterworth_high_pass(_ORDER, CUTOFF_HZ, sr)
    state = at_rest(sections, math.prod(y.shape[1:]))
    passed = Spool(scratch)
    for block in blocks(y):
        high = block.reshape(len(block), -1).astype(np.float64)  # in single precision it drifts
        run_sections(sections, high, state)
        passed.add(high.reshape(block.shape).astype(np.float32))
    return passed.whole()
