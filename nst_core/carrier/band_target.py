"""Band powers with the music's slow envelope and the ambience's fast grain.

Arrays are time-major, ``(n_frames, n_bands)``; signals are at `LEVEL`.
"""

import math
from dataclasses import dataclass, replace

import numba
import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import oaconvolve

from nst_core.arrays import FloatArray
from nst_core.config import CarrierConfig
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank

_EPS = np.float32(1e-9)
_TINY = np.float32(1e-12)
_SOUNDING = np.float32(1e-4)
"""Power below which a band is silent: 50 dB below the mean band of a signal at `LEVEL`."""
_EQ_LIMIT = 1e3
"""Bound of the long-term band power ratio: 30 dB."""
_SMOOTHING_EXPONENT = 4
"""Exponent with which the music's own grain disappears late: while there is little of the
ambience's grain, smoothing would move the texture away from the ambience."""


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _recursive_smooth(x: FloatArray, feedback: FloatArray) -> None:
    """First-order low-pass along time, forward then backward, in place."""
    n_frames, n_bands = x.shape
    for t in range(1, n_frames):
        for b in range(n_bands):
            x[t, b] += feedback[t, b] * (x[t - 1, b] - x[t, b])
    for t in range(n_frames - 2, -1, -1):
        for b in range(n_bands):
            x[t, b] += feedback[t + 1, b] * (x[t + 1, b] - x[t, b])


def edge_aware_smooth(
    power: FloatArray, config: CarrierConfig, sharpness: float, *, mean: float | None = None
) -> FloatArray:
    """Smooth band powers along time, but not across onsets.

    Domain-transform recursive filter (Gastal & Oliveira 2011, eq. 21), guided by the
    rises of the log envelope averaged over neighbouring bands; one forward and one
    backward pass.

    Parameters
    ----------
    power : shape (n_frames, n_bands), float32, >= 0
    sharpness
        How much a rise reduces the smoothing; 0 smooths across rises.
    mean
        Mean of the whole track's `power`, if this is a stretch of a track.

    Returns
    -------
    shape (n_frames, n_bands), float32, >= 0
    """
    floor = np.float32(1e-5 * (power.mean() if mean is None else mean) + 1e-12)
    guide = np.log(gaussian_filter1d(power, 3, axis=0) + floor)
    guide = uniform_filter1d(guide, 2 * config.edge_bands + 1, axis=1, mode="nearest")
    rise = np.maximum(np.diff(guide, axis=0, prepend=guide[:1]), 0)
    width = config.edge_frames
    feedback = np.exp(-np.sqrt(2) / width * (1 + sharpness * width * rise))
    smooth = power.copy()
    _recursive_smooth(smooth, feedback.astype(np.float32))
    return smooth


@dataclass(frozen=True)
class BandLevels:
    """Statistics of a whole track's band powers, which its stretches need.

    Attributes
    ----------
    music, ambience : shape (n_bands,), float32
        Means over time.
    sounding : shape (n_bands,), float32
        Share of the time in which the music sounds in a band.
    grain, grain_power : shape (n_bands,), float32
        Means over time, with silence counted as 0, of the music's powers divided by their slow
        part, and of the square of this ratio.
    peak
        Largest band power of the music.
    """

    music: FloatArray
    ambience: FloatArray
    sounding: FloatArray
    grain: FloatArray
    grain_power: FloatArray
    peak: float

    @classmethod
    def of(
        cls,
        music: FloatArray,
        ambience: FloatArray,
        config: CarrierConfig,
        frames: slice = slice(None),
    ) -> "BandLevels":
        """Return the statistics of band powers of shape (n_frames, n_bands)."""
        slow = _slow(music, config)[frames]
        music, is_sounding = music[frames], slow > _SOUNDING
        grain = is_sounding * np.minimum(music / (slow + _TINY), config.texture_cap)
        return cls(
            music=music.mean(axis=0),
            ambience=ambience[frames].mean(axis=0),
            sounding=is_sounding.mean(axis=0, dtype=np.float32),
            grain=grain.mean(axis=0),
            grain_power=np.square(grain).mean(axis=0),
            peak=float(music.max()),
        )

    def sharpness(self, config: CarrierConfig) -> float:
        """Return the sharpness of smoothing, between that of sustained and percussive music."""
        # sounding * sqrt(variance while it sounds), without dividing by a silent band's share
        deviation = np.sqrt(np.maximum(self.sounding * self.grain_power - self.grain**2, 0))
        grain = float(deviation.sum() / (self.sounding.sum() + _TINY))
        grain = max(grain, config.sustained_grain)
        share = math.log(grain / config.sustained_grain) / math.log(
            config.percussive_grain / config.sustained_grain
        )
        ratio = config.percussive_sharpness / config.sustained_sharpness
        return float(config.sustained_sharpness * ratio ** min(share, 1.0))


@dataclass(frozen=True)
class Contour:
    """Loudness of a whole track's target before expansion, and its gain after expansion.

    Attributes
    ----------
    loudness
        Mean over time of the target's total.
    gain
        Factor that gives the expanded target the energy of the music.
    """

    loudness: float
    gain: float

    @classmethod
    def of(cls, totals: FloatArray, music_total: float, config: CarrierConfig) -> "Contour":
        """Return the contour of a target's totals per frame, and the sum of the music's powers."""
        loudness = gaussian_filter1d(totals, config.expand_frames)
        mean = float(loudness.mean())
        expanded = totals * (loudness / mean + 1e-3) ** config.expand
        return cls(mean, music_total / float(expanded.sum(dtype=np.float64)))


@dataclass(frozen=True)
class BandTarget:
    """Band powers to impose, shape (n_frames, n_bands): the music's own and the transfer's."""

    music: FloatArray
    transfer: FloatArray
    smooth_music: FloatArray
    levels: BandLevels

    def at(self, weight: float, config: CarrierConfig) -> FloatArray:
        """Return the target at a weight from 0, the music, to 1, the transfer."""
        if weight >= 1:
            return self.transfer
        width = config.edge_frames * weight**_SMOOTHING_EXPONENT
        # Below half a frame, the filter would only leak.
        narrower = replace(config, edge_frames=max(width, 0.5))
        music = _smooth(self.music, narrower, self.levels) if width > 0.5 else self.music
        floor = np.float32(1e-7 * self.levels.peak)
        mixed: FloatArray = (self.transfer + floor) / (self.smooth_music + floor)
        np.power(mixed, np.float32(weight), out=mixed)
        mixed *= music + floor
        return mixed


def band_powers(y: FloatArray, sr: int, config: CarrierConfig) -> FloatArray:
    """Return the power in ERB bands, shape (n_frames, n_bands), float32."""
    bank = erb_bank(config.n_bands, config.band_n_fft, sr)
    return band_spectrogram(y, config.band_n_fft, config.band_hop_length, bank)


def band_target(
    music: FloatArray,
    ambience: FloatArray,
    sr: int,
    config: CarrierConfig,
    *,
    levels: BandLevels | None = None,
    contour: Contour | None = None,
) -> BandTarget:
    """Return the music's slow envelope times the ambience's fast grain, per band.

    Parameters
    ----------
    music, ambience : shape (n_samples,), float32
        Same length, at `LEVEL`.
    sr
        Hz.
    levels, contour
        Statistics of the whole track, if this is a stretch of a track.
    """
    target = unexpanded_target(music, ambience, sr, config, levels=levels)
    totals = target.transfer.sum(axis=1)
    contour = contour or Contour.of(totals, float(target.music.sum(dtype=np.float64)), config)
    loudness = gaussian_filter1d(totals, config.expand_frames)
    gain = contour.gain * (loudness / contour.loudness + 1e-3) ** config.expand
    return replace(target, transfer=(target.transfer * gain[:, None]).astype(np.float32))


def unexpanded_target(
    music: FloatArray,
    ambience: FloatArray,
    sr: int,
    config: CarrierConfig,
    *,
    levels: BandLevels | None = None,
) -> BandTarget:
    """Return `band_target` before its loudness is expanded, at an arbitrary level."""
    music_power, ambience_power = (band_powers(y, sr, config) for y in (music, ambience))
    levels = levels or BandLevels.of(music_power, ambience_power, config)
    smooth_music = _smooth(music_power, config, levels)
    slow = _slow(ambience_power, config)
    target = np.minimum(ambience_power / (slow + _TINY), config.texture_cap)
    np.power(target, config.texture_exponent, out=target)
    target *= smooth_music
    long_term = (levels.ambience + _EPS) / (levels.music + _EPS)
    target *= np.clip(long_term, 1 / _EQ_LIMIT, _EQ_LIMIT) ** np.float32(config.eq)
    return BandTarget(music_power, target, smooth_music, levels)


def _smooth(music_power: FloatArray, config: CarrierConfig, levels: BandLevels) -> FloatArray:
    mean = float(levels.music.mean())
    return edge_aware_smooth(music_power, config, levels.sharpness(config), mean=mean)


def _slow(power: FloatArray, config: CarrierConfig) -> FloatArray:
    """Return the slow part of band powers; the rest is grain."""
    slow: FloatArray = np.maximum(_gaussian_along_time(power, config.texture_frames), 0)
    return slow


def _gaussian_along_time(x: FloatArray, deviation: float) -> FloatArray:
    """Apply `gaussian_filter1d` along the first axis, with edges repeated; fast if it is wide.

    In double precision, because 1e-7 of a peak can be the whole power of a quiet passage.
    """
    radius = int(4 * deviation + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(x.astype(np.float64), ((radius, radius), (0, 0)), mode="edge")
    smooth: FloatArray = oaconvolve(padded, kernel[:, None], "valid", axes=0).astype(np.float32)
    return smooth
