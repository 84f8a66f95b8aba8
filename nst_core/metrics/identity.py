"""Identity: whether a result sounds like the ambience or like the music's instruments.

Statistics of grain alone miss this: a result can flicker like rain and still sound like an organ.
Both inputs are described by figures that neither equalisation nor level changes: how fast, how
strongly and how unevenly bands fluctuate, how bands move together, and how tonal each octave is.
The result's place between the two is measured along the line that tells them apart best (Fisher's
discriminant with independent figures). No network, no training, and no loss uses it.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.stft import power_spectrogram

_N_FFT, _HOP, _N_BANDS = 1024, 256, 32
_LONG_N_FFT, _LONG_HOP = 4096, 1024
_N_GROUPS = 8
_LOW_HZ, _HIGH_HZ = 150.0, 10_000.0
_BLOCK, _BLOCK_HOP = 86, 43
"""Frames: a second, and half of it."""
_SLOW = 21
"""Frames of the mean that is taken away as the slow envelope."""
_LAGS, _DISTANCES = (1, 3, 8), (1, 4, 12)
_HEARD, _LOUD = 0.02, 0.95
"""A block is heard above this share of this quantile of the level."""
_FLOOR, _LEAST = 1e-4, 0.05
_MEAN_VARIANCE = 0.1
_APART = 30.0
"""Squared distance of the inputs in deviations, below which they are too alike: halves of one
ambience have up to 24, sixteen real pairs at least 51."""

Figures = npt.NDArray[np.float64]


def identity(y: FloatArray, music: FloatArray, ambience: FloatArray, sr: int) -> float | None:
    """Return where a result is between the music (0) and the ambience (1).

    Parameters
    ----------
    y, music, ambience : shape (any,), float32
        At one level, each of at least a second.
    sr
        Hz; the metric is calibrated at 22,050.

    Returns
    -------
    Typically 0 to 1; None if the inputs are too alike, or one of them too short.

    References
    ----------
    R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7,
    1936; the covariance is taken as diagonal.
    """
    described = [_figures(each, sr) for each in (y, music, ambience)]
    if not all(len(each) for each in described):
        return None
    of_result, of_music, of_ambience = (each.mean(axis=0) for each in described)
    variance = described[1].var(axis=0) + described[2].var(axis=0)
    weights = (of_ambience - of_music) / (variance + _MEAN_VARIANCE * variance.mean() + 1e-6)
    apart = float(weights @ (of_ambience - of_music))
    return float(weights @ (of_result - of_music)) / apart if apart > _APART else None


def _figures(y: FloatArray, sr: int) -> Figures:
    """Return the figures of all blocks that are heard, shape (n_blocks, n_figures)."""
    powers = band_spectrogram(y, _N_FFT, _HOP, erb_bank(_N_BANDS, _N_FFT, sr)).astype(float)
    levels = np.log(powers + _FLOOR * powers.mean(axis=0) + 1e-9)
    grain = levels - uniform_filter1d(levels, _SLOW, axis=0, mode="reflect")
    tonality = _tonality(y, sr)
    totals = powers.sum(axis=1)
    least = _HEARD * float(np.quantile(totals, _LOUD))
    found = [
        np.concatenate([_of_grain(grain[part]), tonality[_long_frames(part)].mean(axis=0)])
        for part in (slice(a, a + _BLOCK) for a in range(0, len(grain) - _BLOCK + 1, _BLOCK_HOP))
        if totals[part].mean() >= least
    ]
    return np.array(found)


def _long_frames(part: slice) -> slice:
    ratio = _LONG_HOP // _HOP
    return slice(part.start // ratio, part.stop // ratio)


def _of_grain(x: Figures) -> Figures:
    """Return depth, speed, unevenness and togetherness of the fluctuation of one block."""
    deviation = x.std(axis=0)
    white = (x - x.mean(axis=0)) / (deviation + 1e-6)
    depth = np.log(deviation + _LEAST)
    speeds = [
        np.log((x[lag:] - x[:-lag]).std(axis=0) / (deviation + 1e-6) + _LEAST) for lag in _LAGS
    ]
    skewness = np.clip((white**3).mean(axis=0), -3, 3)
    together = white.T @ white / len(white)
    by_band = [_grouped(each) for each in (depth, *speeds, skewness)]
    return np.concatenate([*by_band, [np.diag(together, d).mean() for d in _DISTANCES]])


def _grouped(of_bands: Figures) -> Figures:
    return np.array([part.mean() for part in np.array_split(of_bands, _N_GROUPS)])


def _tonality(y: FloatArray, sr: int) -> Figures:
    """Return the log spectral flatness of equal steps of pitch, shape (n_frames, n_groups)."""
    power = power_spectrogram(y, _LONG_N_FFT, _LONG_HOP) + 1e-9
    hz = np.fft.rfftfreq(_LONG_N_FFT, 1 / sr)
    edges = np.searchsorted(hz, np.geomspace(_LOW_HZ, _HIGH_HZ, _N_GROUPS + 1))
    parts = [power[:, a:b] for a, b in pairwise(edges)]
    flatness = [np.log(part).mean(axis=1) - np.log(part.mean(axis=1)) for part in parts]
    return np.stack(flatness, axis=1).astype(float)
