"""The ambience as the carrier of the music: parts A, B and D of the transfer.

No phase is invented. The ambience's own STFT, whitened, takes the music's
magnitudes (A); then its band powers are moved to a target that has the music's
slow envelope and the ambience's fast grain (B). `carrier` does both, at any
strength (D). Signals are at RMS 0.1, arrays time-major: ``(n_frames, n_bins)``.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import oaconvolve

from nst_core.config import CarrierConfig
from nst_core.erb import erb_bank
from nst_core.mel import bands_of_bins
from nst_core.pairs import BLOCK_FRAMES, load_pairs, overlap_add_pairs
from nst_core.stft import (
    ComplexArray,
    FloatArray,
    band_spectrogram,
    hann,
    istft,
    normalise_overlap,
    squared_magnitude,
    stft,
)

_EPS = np.float32(1e-9)
_MIN_GAIN, _MAX_GAIN = np.float32(1e-3), np.float32(1e3)
_MIN_RELIEF = np.float32(0.03)
"""Lower in the valleys than by 30 dB nothing is heard of them."""
_HALF, _QUARTER = np.float32(0.5), np.float32(0.25)
_EQ_LIMIT = 1e3
"""Bound of the long-term band power ratio: 30 dB."""
_PART_FRAMES = 2048
"""Imposed on by one thread at a time."""
_SMOOTHING_EXPONENT = 4
"""The music's own grain gives way late: while little of the ambience's is there, smoothing
it takes the texture further from the ambience."""


@dataclass(frozen=True)
class Partials:
    """The music's magnitudes on the long window, as two factors of shape (n_frames, n_bins).

    Attributes
    ----------
    level
        Root of the power's mean over neighbouring bins.
    relief
        How far a bin stands out of that: above 1 in a partial, below beside it.
    """

    level: FloatArray
    relief: FloatArray


def partials(music: FloatArray, config: CarrierConfig) -> Partials:
    """Tell the music's partials from its spectral envelope.

    Parameters
    ----------
    music : shape (n_samples,), float32
    """
    power = squared_magnitude(stft(music, config.n_fft, config.hop_length))
    # The filter's running sum leaves a little below zero where silence follows sound.
    level = np.maximum(uniform_filter1d(power, config.sharpen_bins, axis=1), 0)
    level = np.sqrt(level) + _EPS
    relief = np.sqrt(power, out=power)
    relief /= level
    return Partials(level, relief)


def excite(music: Partials, ambience: FloatArray, config: CarrierConfig) -> FloatArray:
    """Part A: the whitened ambience takes the music's sharpened magnitudes.

    Parameters
    ----------
    music
        Of as many samples as the ambience.
    ambience : shape (n_samples,), float32

    Returns
    -------
    shape (n_samples,), float32
        At no particular level.
    """
    gain = np.power(music.relief, np.float32(config.sharpen))
    gain *= music.level
    D = stft(ambience, config.n_fft, config.hop_length)
    smooth = uniform_filter1d(squared_magnitude(D), config.whiten_bins, axis=1)
    smooth = np.maximum(uniform_filter1d(smooth, config.whiten_frames, axis=0), 0)
    gain /= np.sqrt(smooth + _EPS)
    D *= gain
    return istft(D, config.hop_length, len(ambience))


def refocus(
    y: FloatArray, music: Partials, weight: float, sr: int, config: CarrierConfig
) -> FloatArray:
    """Draw sound that has spread beside the music's partials back into them.

    The gains of `impose` move within milliseconds and are as wide as an ear's filter: they
    smear each partial over its neighbours, and a transcriber loses the notes. Where notes
    have their fundamentals and low harmonics, what lies between them is lowered here.
    Higher up partials lie too close to be told apart, and would ring.

    Parameters
    ----------
    y : shape (n_samples,), float32
        As long as the music.
    weight
        Exponent of the gains, 0 (none) to 1.
    sr
        Hz.
    """
    hz = np.fft.rfftfreq(config.n_fft, 1 / sr)
    full, none = np.log2([config.refocus_full_hz, config.refocus_none_hz])
    below = hz[hz < config.refocus_none_hz]
    share = np.clip((none - np.log2(np.maximum(below, 1))) / (none - full), 0, 1)
    gain = np.clip(music.relief[:, : len(below)], _MIN_RELIEF, config.refocus_max_gain)
    np.power(gain, (weight * share).astype(np.float32), out=gain)
    D = stft(y, config.n_fft, config.hop_length)
    D[:, : len(below)] *= gain
    return istft(D, config.hop_length, len(y))


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
    power: FloatArray, config: CarrierConfig, *, mean: float | None = None
) -> FloatArray:
    """Smooth band powers along time, but not across onsets.

    Domain-transform recursive filter (Gastal & Oliveira 2011, eq. 21), guided by the
    rises of the log envelope averaged over neighbouring bands; one forward and one
    backward pass.

    Parameters
    ----------
    power : shape (n_frames, n_bands), float32, >= 0
    mean
        Of the whole track's `power`, if this is a stretch of it.

    Returns
    -------
    shape (n_frames, n_bands), float32, >= 0
    """
    floor = np.float32(1e-5 * (power.mean() if mean is None else mean) + 1e-12)
    guide = np.log(gaussian_filter1d(power, 3, axis=0) + floor)
    guide = uniform_filter1d(guide, 2 * config.edge_bands + 1, axis=1, mode="nearest")
    rise = np.maximum(np.diff(guide, axis=0, prepend=guide[:1]), 0)
    width = config.edge_frames
    feedback = np.exp(-np.sqrt(2) / width * (1 + config.edge_sharpness * width * rise))
    smooth = power.copy()
    _recursive_smooth(smooth, feedback.astype(np.float32))
    return smooth


@dataclass(frozen=True)
class BandLevels:
    """Of the band powers of a whole track: what a stretch of it cannot know.

    Attributes
    ----------
    music, ambience : shape (n_bands,), float32
        Means over time.
    peak
        The music's largest.
    """

    music: FloatArray
    ambience: FloatArray
    peak: float

    @classmethod
    def of(cls, music: FloatArray, ambience: FloatArray) -> "BandLevels":
        """From band powers of shape (n_frames, n_bands)."""
        return cls(music.mean(axis=0), ambience.mean(axis=0), float(music.max()))


@dataclass(frozen=True)
class Contour:
    """How loud a whole track's target is before it is expanded, and what is made of it.

    Attributes
    ----------
    loudness
        Mean over time of the target's total.
    gain
        Of the expanded target: it gets the energy of the music.
    """

    loudness: float
    gain: float

    @classmethod
    def of(cls, totals: FloatArray, music_total: float, config: CarrierConfig) -> "Contour":
        """From a target's totals per frame, and the sum of the music's band powers."""
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
        """Between 0, the music, and 1, the transfer: less of the grain, and less smoothed."""
        if weight >= 1:
            return self.transfer
        width = config.edge_frames * weight**_SMOOTHING_EXPONENT
        # Narrower than half a frame the filter does nothing but leak.
        narrower = replace(config, edge_frames=max(width, 0.5))
        mean = float(self.levels.music.mean())
        music = edge_aware_smooth(self.music, narrower, mean=mean) if width > 0.5 else self.music
        floor = np.float32(1e-7 * self.levels.peak)
        mixed: FloatArray = (self.transfer + floor) / (self.smooth_music + floor)
        np.power(mixed, np.float32(weight), out=mixed)
        mixed *= music + floor
        return mixed


def band_powers(y: FloatArray, sr: int, config: CarrierConfig) -> FloatArray:
    """Power in ERB bands, shape (n_frames, n_bands), float32."""
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
    """Part B: the music's slow envelope times the ambience's fast grain, per band.

    Parameters
    ----------
    music, ambience : shape (n_samples,), float32
        Same length, RMS 0.1.
    sr
        Hz.
    levels, contour
        Of the whole track, if this is a stretch of it.
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
    """`band_target` before its loudness is expanded, at no particular level."""
    music_power, ambience_power = (band_powers(y, sr, config) for y in (music, ambience))
    levels = levels or BandLevels.of(music_power, ambience_power)
    slow = np.maximum(_gaussian_along_time(ambience_power, config.texture_frames), 0)
    smooth_music = edge_aware_smooth(music_power, config, mean=float(levels.music.mean()))
    target = np.minimum(ambience_power / (slow + np.float32(1e-12)), config.texture_cap)
    np.power(target, config.texture_exponent, out=target)
    target *= smooth_music
    long_term = (levels.ambience + _EPS) / (levels.music + _EPS)
    target *= np.clip(long_term, 1 / _EQ_LIMIT, _EQ_LIMIT) ** np.float32(config.eq)
    return BandTarget(music_power, target, smooth_music, levels)


def _gaussian_along_time(x: FloatArray, deviation: float) -> FloatArray:
    """`gaussian_filter1d` along the first axis, the edges repeated; fast where it is wide.

    In double precision: an error of 1e-7 of a peak is a quiet passage's whole power.
    """
    radius = int(4 * deviation + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(x.astype(np.float64), ((radius, radius), (0, 0)), mode="edge")
    smooth: FloatArray = oaconvolve(padded, kernel[:, None], "valid", axes=0).astype(np.float32)
    return smooth


def impose(
    y: FloatArray,
    target: FloatArray,
    sr: int,
    config: CarrierConfig,
    *,
    peak: float | None = None,
) -> FloatArray:
    """Scale `y` in time and frequency towards the band powers `target`.

    Parameters
    ----------
    y : shape (n_samples,), float32
    target : shape (n_frames, n_bands), float32
        Band powers under ``band_n_fft`` and `erb_bank`.
    peak
        What counts as silence is measured by it: of the whole track's powers, if this is a
        stretch of it; else the largest of `target`.

    Returns
    -------
    shape (n_samples,), float32
        One pass; overlapping frames disagree, so a few passes come closer.
    """
    n_fft, hop = config.band_n_fft, config.band_hop_length
    n_frames, overlap = len(target), n_fft // hop
    layout = _bands_of_bins(config.n_bands, n_fft, sr)
    padded = np.pad(y, (n_fft // 2, n_fft // 2 + hop))
    floor = np.float32(1e-12 * (target.max() if peak is None else peak) + 1e-14)

    def impose_on(first: int) -> FloatArray:
        part = target[first : first + _PART_FRAMES]
        out = np.zeros((len(part) + overlap - 1) * hop, np.float32)
        pairs = np.empty((BLOCK_FRAMES // 2, n_fft), np.complex64)
        for start in range(0, len(part), BLOCK_FRAMES):
            goal = part[start : start + BLOCK_FRAMES]
            z = pairs[: -(-len(goal) // 2)]
            load_pairs(padded[(first + start) * hop :], hann(n_fft), hop, z)
            z = fft.fft(z, axis=1, overwrite_x=True)
            _impose_bands(z, goal, *layout, floor)
            z = fft.ifft(z, axis=1, overwrite_x=True)
            overlap_add_pairs(z, hann(n_fft), hop, len(goal), out[start * hop :])
        return out

    # Parts are the same whatever the threads, and are added in their order.
    whole = np.zeros((n_frames + overlap - 1) * hop, np.float32)
    firsts = range(0, n_frames, _PART_FRAMES)
    with ThreadPoolExecutor(fft.get_workers()) as pool:
        for first, part in zip(firsts, pool.map(impose_on, firsts), strict=True):
            whole[first * hop : first * hop + len(part)] += part
    return normalise_overlap(whole, n_fft, hop, len(y))


@lru_cache(maxsize=4)
def _bands_of_bins(
    n_bands: int, n_fft: int, sr: int
) -> tuple[npt.NDArray[np.int32], FloatArray, int]:
    bank = erb_bank(n_bands, n_fft, sr)
    return *bands_of_bins(bank.T), bank.shape[1]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _impose_bands(  # compiled
    pairs: ComplexArray,
    goal: FloatArray,
    bin_bands: npt.NDArray[np.int32],
    shares: FloatArray,
    n_bands: int,
    floor: np.float32,
) -> None:
    """Scale both frames of each pair so that their band powers become `goal`."""
    half = pairs.shape[1] // 2
    spectra = np.empty((4, half + 1), np.float32)
    a, b, c, d = spectra  # of the even frame, then of the odd one, doubled
    power = np.empty((2, n_bands + 1), np.float32)
    for p in range(len(pairs)):
        z = pairs[p]
        for k in range(half + 1):
            w = z[-k] if k else z[0]
            a[k], b[k] = z[k].real + w.real, z[k].imag - w.imag
            c[k], d[k] = z[k].imag + w.imag, w.real - z[k].real
        power[:] = 0
        for k in range(half + 1):
            band, low, high = bin_bands[k], shares[k, 0], shares[k, 1]
            even, odd = a[k] * a[k] + b[k] * b[k], c[k] * c[k] + d[k] * d[k]
            power[0, band] += low * even
            power[0, band + 1] += high * even
            power[1, band] += low * odd
            power[1, band + 1] += high * odd
        for i in range(2):
            wanted = goal[min(2 * p + i, len(goal) - 1)]
            for band in range(n_bands):
                gain = np.sqrt(wanted[band] / (_QUARTER * power[i, band] + floor))
                power[i, band] = _HALF * min(max(gain, _MIN_GAIN), _MAX_GAIN)
        for k in range(half + 1):
            band, low, high = bin_bands[k], shares[k, 0], shares[k, 1]
            even = low * power[0, band] + high * power[0, band + 1]
            odd = low * power[1, band] + high * power[1, band + 1]
            x, y, u, v = a[k] * even, b[k] * even, c[k] * odd, d[k] * odd
            z[k] = complex(x - v, y + u)
            if 0 < k < half:
                z[-k] = complex(x + v, u - y)


def carrier(
    music: FloatArray,
    ambience: FloatArray,
    sr: int,
    config: CarrierConfig,
    *,
    weights: tuple[float, ...] = (1.0,),
    levels: BandLevels | None = None,
    contour: Contour | None = None,
) -> list[FloatArray]:
    """The closed-form transfer at one or more strengths (parts A, B and D).

    Parameters
    ----------
    music, ambience : shape (n_samples,), float32
        Same length, RMS 0.1.
    sr
        Hz.
    weights
        Each in 0..1: the share of the ambience. 1 is the whole transfer; below it the
        music itself is mixed in at constant power before the target is imposed.
    levels, contour
        Of the whole track, if this is a stretch of it.

    Returns
    -------
    One waveform of shape (n_samples,), float32, per weight.
    """
    target = band_target(music, ambience, sr, config, levels=levels, contour=contour)
    of_music = partials(music, config)
    excited = excite(of_music, ambience, config)
    levelled = excited
    if min(weights) < 1:
        peak = target.levels.peak
        levelled = impose(excited, target.smooth_music, sr, config, peak=peak)
    return [_at_weight(music, excited, levelled, of_music, target, sr, config, w) for w in weights]


def _at_weight(
    music: FloatArray,
    excited: FloatArray,
    levelled: FloatArray,
    of_music: Partials,
    target: BandTarget,
    sr: int,
    config: CarrierConfig,
    weight: float,
) -> FloatArray:
    w = np.float32(weight)
    y = excited if weight >= 1 else np.sqrt(1 - w * w) * music + w * levelled
    goal = target.at(weight, config)
    for i in range(config.n_impositions):
        if i and weight > 0:
            y = refocus(y, of_music, weight, sr, config)
        y = impose(y, goal, sr, config, peak=target.levels.peak)
    return y
