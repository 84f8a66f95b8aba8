"""Band powers with the music's slow envelope and the ambience's fast grain.

Arrays are time-major, ``(n_frames, n_bands)``; signals are at `LEVEL`.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.carrier.smoothing import edge_aware_smooth, gaussian_along_time
from nst_core.config import CarrierConfig
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank, erb_centres

_EPS = np.float32(1e-9)
_TINY = np.float32(1e-12)
_EQ_LIMIT = 1e3
"""Bound of the long-term band power ratio: 30 dB."""
_TOP_BANDS = 4
"""Highest bands of the music, whose envelope the ambience has above them."""
_HIGH_TIMBRE = 5.0
"""Exponent that makes the timbre at high frequencies 0.95 where it is 0.45 at low ones."""
_SWELL_LIMIT = 10.0
"""Bound of the ambience's slow movement: 10 dB of power in both directions."""
_SMOOTHING_EXPONENT = 4
"""Exponent with which the music's own grain disappears late: while there is little of the
ambience's grain, smoothing would move the texture away from the ambience."""


@dataclass(frozen=True)
class BandLevels:
    """Statistics of a whole track's band powers, which its stretches need.

    Attributes
    ----------
    music, ambience : shape (n_bands,), float32
        Means over time.
    texture, texture_power : shape (n_bands,), float32
        Means over time of the ambience's powers divided by their slow part, and of the square of
        this ratio.
    peak
        Largest band power of the music.
    """

    music: FloatArray
    ambience: FloatArray
    texture: FloatArray
    texture_power: FloatArray
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
        music, texture = music[frames], _grain(ambience, config)[frames]
        return cls(
            music=music.mean(axis=0),
            ambience=ambience[frames].mean(axis=0),
            texture=texture.mean(axis=0),
            texture_power=np.square(texture).mean(axis=0),
            peak=float(music.max()),
        )

    def grain_exponent(self, config: CarrierConfig) -> np.float32:
        """Return the exponent of the ambience's grain, which is smaller for a sparse ambience.

        Keys that click or chimes would otherwise silence the tune between their strokes.
        """
        deviations = np.sqrt(np.maximum(self.texture_power - self.texture**2, 0))
        grain = max(float(deviations.mean()), config.sparse_grain)
        return np.float32(config.grain * config.sparse_grain / grain)


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
    n_own: int
    """Bands that the music has; above them it is silent, and `transfer` has the ambience."""

    def at(self, weight: FloatArray, config: CarrierConfig) -> FloatArray:
        """Return the target at weights of shape (n_frames,): 0 is the music, 1 the transfer."""
        if weight.min() >= 1:
            return self.transfer
        music = _smooth(self.music, config, self.levels, weight**_SMOOTHING_EXPONENT)
        floor = np.float32(1e-7 * self.levels.peak)
        mixed: FloatArray = (self.transfer + floor) / (self.smooth_music + floor)
        np.power(mixed, weight[:, None], out=mixed)
        mixed *= music  # without the floor: silence stays silent
        above, share = slice(self.n_own, None), weight[:, None] ** 2
        mixed[:, above] = (1 - share) * music[:, above] + share * self.transfer[:, above]
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
    n_own = _bands_of_music(levels, sr, config)
    envelope, level = smooth_music, levels.music
    if n_own < len(level):
        envelope, level = _continued(smooth_music, levels, n_own)
    target = _grain(ambience_power, config)
    np.power(target, levels.grain_exponent(config), out=target)
    target *= envelope
    long_term = (levels.ambience + _EPS) / (level + _EPS)
    target *= np.clip(long_term, 1 / _EQ_LIMIT, _EQ_LIMIT) ** _eq_by_band(sr, config)
    if config.swell > 0:
        target *= _swell(ambience_power, levels, config)
    return BandTarget(music_power, target, smooth_music, levels, n_own)


def _bands_of_music(levels: BandLevels, sr: int, config: CarrierConfig) -> int:
    """Return how many bands the music has: recordings may end at 8, 11 or 16 kHz."""
    centres = erb_centres(config.n_bands, config.band_n_fft, sr)
    is_heard = levels.music > levels.ambience / _EQ_LIMIT
    heard = np.flatnonzero(is_heard | (centres < config.timbre_high_hz))
    return int(heard[-1]) + 1


def _continued(
    smooth_music: FloatArray, levels: BandLevels, n_own: int
) -> tuple[FloatArray, FloatArray]:
    """Give silent upper bands the envelope of the highest bands of the music.

    Returns
    -------
    Envelope, shape (n_frames, n_bands), and its mean, shape (n_bands,)
        30 dB below the ambience, which the equalisation then nearly makes up for.
    """
    envelope, level = smooth_music.copy(), levels.music.copy()
    top = slice(max(n_own - _TOP_BANDS, 0), n_own)
    own = smooth_music[:, top].mean(axis=1) / (levels.music[top].mean() + _TINY)
    level[n_own:] = levels.ambience[n_own:] / _EQ_LIMIT
    envelope[:, n_own:] = own[:, None] * level[n_own:]
    return envelope, level


def _eq_by_band(sr: int, config: CarrierConfig) -> FloatArray:
    """Return how far each band's mean power moves to the ambience's, shape (n_bands,)."""
    centres = erb_centres(config.n_bands, config.band_n_fft, sr)
    octaves_below = np.log2(np.float32(config.timbre_high_hz) / centres)
    high = 1 - (1 - config.timbre) ** _HIGH_TIMBRE
    eq: FloatArray = high + (config.timbre - high) * np.clip(octaves_below, 0, 1)
    return eq


def _swell(power: FloatArray, levels: BandLevels, config: CarrierConfig) -> FloatArray:
    """Return the gain that gives a target the slow movement of the ambience's band powers."""
    slow = np.maximum(gaussian_along_time(power, config.swell_frames), 0)
    nearby = 2 * config.edge_bands + 1
    slow, mean = (
        uniform_filter1d(x, nearby, axis=-1, mode="nearest") for x in (slow, levels.ambience)
    )
    movement = (slow + _TINY) / (mean + _TINY)
    gain: FloatArray = np.clip(movement, 1 / _SWELL_LIMIT, _SWELL_LIMIT) ** np.float32(config.swell)
    return gain


def _smooth(
    music_power: FloatArray,
    config: CarrierConfig,
    levels: BandLevels,
    narrowing: FloatArray | None = None,
) -> FloatArray:
    mean = float(levels.music.mean())
    return edge_aware_smooth(music_power, config, mean=mean, narrowing=narrowing)


def _grain(power: FloatArray, config: CarrierConfig) -> FloatArray:
    """Return band powers divided by their slow part, up to a limit."""
    slow = np.maximum(gaussian_along_time(power, config.texture_frames), 0)
    grain: FloatArray = np.minimum(power / (slow + _TINY), config.texture_cap)
    return grain
