"""The carrier's settings at half its rate, where tests are quicker, and its weights."""

import numpy as np

from nst_core.config import CarrierConfig, StrengthCurve
from nst_core.config.weights import Weights

HALF_RATE = CarrierConfig(
    n_fft=4096, hop_length=512, band_n_fft=512, band_hop_length=64, blend_n_fft=2048, n_bands=64
)
"""The windows of 44.1 kHz for sounds at 22,050 Hz."""


def weights(*shares, sr=22_050):
    """Return constant weights, one for each share of the ambience."""
    return [Weights(StrengthCurve.of(share ** (1 / 0.7)), sr) for share in shares]


def even(share, target):
    """Return the same share for each frame of a target."""
    return np.full(len(target.music), share, np.float32)
