"""Keep stereo: render middle and side separately, and pan the result like the music.

Measured on six real pairs against the music's own image, per ERB band and over 0.1 s,
energy-weighted: channels rendered separately keep levels (0.8 dB off) but lose width
(coherence 0.35 too high); middle and side keep width (0.13) but blur positions (2.4 dB);
with `pan_as` after them, both are right (0.5 dB, 0.13).
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.stft import istft, stft
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable
from nst_core.streaming.windows import Stretch, in_stretches, stretches

_N_FFT, _HOP, _N_BANDS = 1024, 256, 40
_SMOOTH_FRAMES = 8
_MAX_RATIO = 100.0
"""Largest gain of a channel: 20 dB."""


def middle(y: FloatArray) -> FloatArray:
    """Return half the sum of two channels: (n_samples, 2) to (n_samples,), float32."""
    mid: FloatArray = y[:, 0] + y[:, 1]
    mid /= 2
    return mid


def side(y: FloatArray) -> FloatArray:
    """Return half the difference of two channels, with shapes as in `middle`."""
    difference: FloatArray = y[:, 0] - y[:, 1]
    difference /= 2
    return difference


def left_right(y_mid: FloatArray, y_side: FloatArray) -> FloatArray:
    """Undo `middle` and `side`; shape (n_samples, 2), float32."""
    y = np.empty((len(y_mid), 2), np.float32)
    np.add(y_mid, y_side, out=y[:, 0])
    np.subtract(y_mid, y_side, out=y[:, 1])
    return y


def centred(y_mid: FloatArray) -> FloatArray:
    """Return `left_right` of a middle without a side."""
    return left_right(y_mid, np.zeros_like(y_mid))


def pan_as(y: Sliceable, music: Sliceable, sr: int, *, scratch: Path | None = None) -> Sliceable:
    """Distribute the power of each band and moment among the channels as the music does.

    Parameters
    ----------
    y, music : shape (n_samples, 2), float32
    sr
        Hz.
    scratch
        Folder for a long result; if None, it stays in memory.

    Returns
    -------
    shape (n_samples, 2), float32
        The width is that of `y`: a gain per channel does not change the coherence.
    """
    halo = _N_FFT + _SMOOTH_FRAMES * _HOP
    grid = 2 * _HOP  # frames are transformed in pairs
    parts = stretches(len(y), block_sizes.SIZES.panned_samples, halo, grid)

    def panned(part: Stretch) -> FloatArray:
        return _panned(y[part.around], music[part.around], sr)

    return in_stretches(panned, parts, scratch=scratch)


def _panned(y: FloatArray, music: FloatArray, sr: int) -> FloatArray:
    bank = erb_bank(_N_BANDS, _N_FFT, sr)

    def shares(channels: FloatArray) -> FloatArray:
        powers = [
            uniform_filter1d(band_spectrogram(x, _N_FFT, _HOP, bank), _SMOOTH_FRAMES, axis=0)
            for x in channels
        ]
        # The filter's running sum can be slightly negative where silence follows sound.
        floored = np.maximum(powers, 0) + np.float32(1e-12)
        shared: FloatArray = floored / floored.sum(axis=0)
        return shared

    channels = np.ascontiguousarray(y.T)
    ratios = shares(np.ascontiguousarray(music.T)) / shares(channels)
    gains = np.sqrt(np.minimum(ratios, _MAX_RATIO))
    panned = [
        istft(stft(channel, _N_FFT, _HOP) * (gain @ bank), _HOP, len(y))
        for channel, gain in zip(channels, gains, strict=True)
    ]
    return np.stack(panned, axis=1)
