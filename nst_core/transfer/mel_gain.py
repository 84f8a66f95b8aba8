"""A mel gain, applied to the spectrum of a waveform at any rate."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray
from nst_core.config import (
    MelConfig,
    StrengthCurve,
)
from nst_core.config.weights import Weights
from nst_core.spectral.mel import mel_bank
from nst_core.spectral.stft import frame_count, istft, stft
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable
from nst_core.streaming.windows import Stretch, in_stretches, stretches


def apply_mel_gain(
    y: Sliceable,
    gain_db: Sliceable,
    mel: MelConfig,
    *,
    weights: Weights | None = None,
    most: float = math.inf,
    scratch: Path | None = None,
) -> Sliceable:
    """Apply a mel gain to a waveform's own STFT and keep its phases.

    Parameters
    ----------
    y : shape (n_samples,), float32
    gain_db : shape (n_frames, n_mels)
        Spread to bins by the column-normalised transpose of the bank: the log gain of a bin is
        the weighted mean of its bands' log gains. Above the mel, the highest band's gain holds.
    weights
        Factor on the bounded gain in decibels, and the rate of `y`; None is 1 at ``mel.sr``.
    most
        Bound of the gain in both directions, in dB.
    scratch
        Folder for a long result; if None, it stays in memory.

    Returns
    -------
    shape (n_samples,), float32
    """
    weights = weights or Weights(StrengthCurve.of(1.0), mel.sr)
    larger = round(weights.sr / mel.sr)
    n_fft, hop = larger * mel.n_fft, larger * mel.hop_length
    frames_per_hop = hop / weights.sr * mel.sr / mel.hop_length
    spread = _spread(replace(mel, sr=weights.sr, n_fft=n_fft, hop_length=hop), mel.sr / 2)

    def mask(part: Stretch) -> FloatArray:
        x = y[part.around]
        first, n = part.around.start // hop, frame_count(len(x), hop)
        at = np.minimum((first + np.arange(n)) * frames_per_hop, len(gain_db) - 1)
        low = int(at[0])
        known = gain_db[low : int(at[-1]) + 2].astype(np.float32)
        gain = np.clip(_between(known, at - low), -most, most)
        gain *= weights.since(part.around.start).at(n, hop)[:, None]
        nepers = np.asarray(gain * (math.log(10) / 20), np.float32)
        gain = nepers @ spread
        D = stft(x, n_fft, hop)
        D *= np.exp(gain, out=gain)
        return istft(D, hop, len(x))

    longest = round(block_sizes.SIZES.carried_s * weights.sr)
    return in_stretches(mask, stretches(len(y), longest, 2 * n_fft, hop), scratch=scratch)


def _spread(mel: MelConfig, high_hz: float) -> FloatArray:
    """Return the matrix from log gains of mel bands to those of bins, (n_mels, n_bins)."""
    bank = mel_bank(mel, high_hz=high_hz)
    spread: FloatArray = bank / (bank.sum(axis=0) + np.float32(1e-9))
    highest = np.flatnonzero(bank.any(axis=0))[-1]
    if high_hz < mel.sr / 2:
        spread[:, highest + 1 :] = spread[:, [highest]]
    return spread


def _between(frames: FloatArray, at: npt.NDArray[np.float64]) -> FloatArray:
    """Return frames at fractional positions, by linear interpolation along the first axis."""
    low = at.astype(int)
    part = (at - low).astype(np.float32)[:, None]
    high = np.minimum(low + 1, len(frames) - 1)
    between: FloatArray = frames[low] + part * (frames[high] - frames[low])
    return between
