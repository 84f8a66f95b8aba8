"""Music with one known fault each: controls that the figures of faults must tell from the music.

Each takes and returns a waveform of shape (n_samples,), float32, at RMS 0.1.
"""

import numpy as np
from scipy.signal import oaconvolve

from tests.benchmarks import artefacts
from tests.benchmarks.pairs import SR, Pair


def hissing(y, sr):
    """Add white noise 25 dB below the music."""
    del sr
    return _with(y, _noise(y), -25)


def rumbling(y, sr):
    """Add a tone of 15 Hz 10 dB below the music."""
    return _with(y, np.sin(2 * np.pi * 15 * np.arange(len(y)) / sr), -10)


def pumped(y, sr):
    """Move the level by 6 dB up and down, 2.5 times a second."""
    gain_db = 6 * np.sin(2 * np.pi * 2.5 * np.arange(len(y)) / sr)
    return (y * 10 ** (gain_db / 20)).astype(np.float32)


def ringing(y, sr):
    """Add resonances at three pitches that decay by 60 dB in two seconds, 10 dB below the music."""
    t = np.arange(2 * sr) / sr
    tail = sum(np.sin(2 * np.pi * hz * t) for hz in (613, 1490, 3170)) * 10 ** (-1.5 * t)
    return _with(y, oaconvolve(y, tail)[: len(y)], -10)


def early(y, sr):
    """Let everything sound 40 ms early as well, 15 dB below, and smeared by noise."""
    kernel = np.random.default_rng(0).standard_normal(round(0.04 * sr))
    return _with(y, oaconvolve(y, kernel)[len(kernel) :][: len(y)], -15)


FAULTY = {
    "music, early": early,
    "music, hissing": hissing,
    "music, rumbling": rumbling,
    "music, pumped": pumped,
    "music, ringing": ringing,
}


def judged_faulty(pairs: list[Pair]) -> dict[str, dict]:
    """Return the figures of faults of each control for each pair, as `judging.judged` does."""
    heard = [(pair.judged.music, pair.judged.looped) for pair in pairs]
    return {
        name: {"pairs": [artefacts.faults(make(y, SR), y, other, SR) for y, other in heard]}
        for name, make in FAULTY.items()
    }


def _noise(y):
    return np.random.default_rng(0).standard_normal(len(y))


def _with(y, fault, level_db):
    fault = np.pad(fault, (0, len(y) - len(fault)))
    return (y + fault * (y.std() / fault.std() * 10 ** (level_db / 20))).astype(np.float32)
