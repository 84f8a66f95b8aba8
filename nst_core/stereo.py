"""Stereo kept: the middle and the sides are rendered apart, and panned as the music is.

Measured on six real pairs against the music's own image, per ERB band and over 0.1 s,
energy-weighted: channels rendered apart keep levels (0.8 dB off) and lose width
(coherence 0.35 too high); middle and sides keep width (0.13) and blur positions (2.4
dB); with `pan_as` after them both hold (0.5 dB, 0.13).
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from nst_core.erb import erb_bank
from nst_core.segments import Stretch, in_stretches, stretches
from nst_core.spool import Sliceable
from nst_core.stft import ComplexArray, FloatArray, istft, squared_magnitude, stft

_N_FFT, _HOP, _N_BANDS = 1024, 256, 40
_SMOOTH_FRAMES = 8
_MAX_RATIO = 100.0
"""Bound of what a channel is raised by: 20 dB."""
_LONGEST = 1 << 19
"""Samples panned at a time: bounds memory."""


def middle(y: FloatArray) -> FloatArray:
    """Half the sum of two channels, shape (n_samples, 2), float32; shape (n_samples,)."""
    mid: FloatArray = y[:, 0] + y[:, 1]
    mid /= 2
    return mid


def side(y: FloatArray) -> FloatArray:
    """Half the difference of two channels, as `middle`."""
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
    """`left_right` of a middle without sides."""
    return left_right(y_mid, np.zeros_like(y_mid))


def pan_as(y: Sliceable, music: Sliceable, sr: int, *, scratch: Path | None = None) -> Sliceable:
    """Share the power of each band and moment among the channels as the music does.

    Parameters
    ----------
    y, music : shape (n_samples, 2), float32
    sr
        Hz.
    scratch
        Folder for a long result; None: it stays in memory.

    Returns
    -------
    shape (n_samples, 2), float32
        Width is that of `y`: a gain per channel leaves the coherence alone.
    """
    halo = _N_FFT + _SMOOTH_FRAMES * _HOP
    parts = stretches(len(y), _LONGEST, halo, _HOP)

    def panned(part: Stretch) -> FloatArray:
        return _panned(y[part.around], music[part.around], sr)

    return in_stretches(panned, parts, scratch=scratch)


def _panned(y: FloatArray, music: FloatArray, sr: int) -> FloatArray:
    bank = erb_bank(_N_BANDS, _N_FFT, sr)

    def shares(channels: list[ComplexArray]) -> FloatArray:
        powers = [
            uniform_filter1d(squared_magnitude(D) @ bank, _SMOOTH_FRAMES, axis=0) for D in channels
        ]
        # The filter's running sum leaves a little below zero where silence follows sound.
        floored = np.maximum(powers, 0) + np.float32(1e-12)
        shared: FloatArray = floored / floored.sum(axis=0)
        return shared

    wanted = shares([stft(channel, _N_FFT, _HOP) for channel in np.ascontiguousarray(music.T)])
    spectra = [stft(channel, _N_FFT, _HOP) for channel in np.ascontiguousarray(y.T)]
    gains = np.sqrt(np.minimum(wanted / shares(spectra), _MAX_RATIO))
    panned = [
        istft(D * (gain @ bank.T), _HOP, len(y)) for D, gain in zip(spectra, gains, strict=True)
    ]
    return np.stack(panned, axis=1)
