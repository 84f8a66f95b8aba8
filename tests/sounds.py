"""Sounds for tests, and their level."""

import numpy as np

SR = 22_050


def tone(hz, duration_s=2.0, *, level=0.1, sr=SR):
    """Return a sine; `level` is its peak."""
    n = round(duration_s * sr)
    return (level * np.sin(2 * np.pi * hz * np.arange(n) / sr)).astype("f4")


def noise(duration_s=2.0, seed=0, *, level=0.1, sr=SR):
    """Return white noise; `level` is its RMS."""
    return level * np.random.default_rng(seed).standard_normal(round(duration_s * sr)).astype("f4")


def rms(y):
    """Return the root of the mean square."""
    return np.sqrt(np.mean(np.square(y, dtype=float)))
