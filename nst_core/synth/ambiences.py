"""Rain, wind, waves and fire as shaped noise; `synth.ambience` levels them.

All are made of two elements: drops (grains of short resonances, scattered at random) and
beds (noise whose spectrum is drawn frame by frame).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nst_core.synth.instruments import Samples, decay

_FFT = 1024
_HOP = 256
_KINDS = 64
"""Number of different drops; each is scattered many times."""


def make_ambience(kind: str, n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Make `n` samples of one of `AMBIENCES`, of any level."""
    return _MAKERS[kind](n, sr, rng)


def _frames(n: int) -> int:
    return n // _HOP + 6


def _wander(n: int, hop_s: float, period_s: float, rng: np.random.Generator) -> Samples:
    """Return a smooth random curve of `n` points `hop_s` apart, mean 0, deviation about 1."""
    knots = rng.standard_normal(int(n * hop_s / period_s) + 4)
    at = np.arange(n) * hop_s / period_s
    left = at.astype(np.int64)
    blend = 0.5 - 0.5 * np.cos(np.pi * (at - left))
    curve: Samples = knots[left] * (1 - blend) + knots[left + 1] * blend
    return 1.2 * curve


def _shaped_noise(gain: npt.NDArray[np.float64], n: int, rng: np.random.Generator) -> Samples:
    """Make noise whose magnitude spectrum follows `gain` (n_bins, n_frames), shape (n,)."""
    phases = rng.standard_normal(gain.shape) + 1j * rng.standard_normal(gain.shape)
    frames = np.fft.irfft(gain * phases, axis=0) * np.hanning(_FFT)[:, None]
    y = np.zeros((gain.shape[1] + _FFT // _HOP) * _HOP)
    quarters = frames.reshape(_FFT // _HOP, _HOP, -1)
    for i, part in enumerate(quarters):
        y[i * _HOP : (i + gain.shape[1]) * _HOP] += part.T.ravel()
    shaped: Samples = y[_FFT - _HOP :][:n]
    shaped /= np.std(shaped) + 1e-12
    return shaped


def _bins(sr: int) -> Samples:
    bins: Samples = np.fft.rfftfreq(_FFT, 1 / sr)[:, None].astype(np.float64)
    return bins


def _hump(f: Samples, centre_hz: Samples | float, octaves: Samples | float) -> Samples:
    """Return a bell curve on a logarithmic frequency axis, peak 1."""
    distance = np.log2(np.maximum(f, 10.0) / centre_hz)
    bell: Samples = np.exp(-0.5 * np.square(distance / octaves))
    return bell


def _drops(
    n: int,
    sr: int,
    rng: np.random.Generator,
    *,
    rate: Samples | float,
    band_hz: tuple[float, float],
    time_s: tuple[float, float],
    spread: float,
) -> Samples:
    """Scatter grains of a few dozen short noisy resonances at random.

    `rate` is drops per second, constant or shape (n,); their loudness is log-normal with
    the deviation `spread`, its loudest tail cut off.
    """
    expected = np.cumsum(np.broadcast_to(np.asarray(rate) / sr, n))
    n_hits = rng.poisson(expected[-1])
    hits = np.searchsorted(expected, rng.uniform(0.0, expected[-1], n_hits))
    loudness = np.exp(spread * np.minimum(rng.standard_normal(n_hits), 1.6))
    grains = [_grain(sr, band_hz, time_s, rng) for _ in range(_KINDS)]
    y = np.zeros(n)
    for hit, gain, kind in zip(hits, loudness, rng.integers(_KINDS, size=n_hits), strict=True):
        grain = grains[kind][: n - hit]
        y[hit : hit + len(grain)] += gain * grain
    return y


def _grain(
    sr: int, band_hz: tuple[float, float], time_s: tuple[float, float], rng: np.random.Generator
) -> Samples:
    length_s = float(np.exp(rng.uniform(*np.log(time_s))))
    f = float(np.exp(rng.uniform(*np.log(band_hz))))
    n = max(16, int(6 * length_s * sr))
    ring = np.sin(2 * np.pi * f * np.arange(n) / sr)
    grain = (0.7 * ring + 0.5 * rng.standard_normal(n)) * decay(n, sr, length_s)
    unit: Samples = grain / np.sqrt(np.sum(np.square(grain)))
    return unit


def _rain(n: int, sr: int, rng: np.random.Generator) -> Samples:
    f, hop_s = _bins(sr), _HOP / sr
    gusts = np.exp(0.2 * _wander(_frames(n), hop_s, 1.5, rng))
    bed = _shaped_noise((_hump(f, 3500.0, 1.3) + 0.15 * _hump(f, 500.0, 1.0)) * gusts, n, rng)
    fine = _drops(
        n, sr, rng, rate=900.0, band_hz=(2500.0, 9000.0), time_s=(0.0002, 0.0006), spread=0.8
    )
    near = _drops(
        n, sr, rng, rate=70.0, band_hz=(900.0, 4000.0), time_s=(0.0015, 0.004), spread=0.6
    )
    plops = _drops(n, sr, rng, rate=7.0, band_hz=(350.0, 1100.0), time_s=(0.006, 0.016), spread=0.3)
    return 0.07 * bed + 0.4 * fine + 0.7 * near + 1.1 * plops


def _wind(n: int, sr: int, rng: np.random.Generator) -> Samples:
    f, hop_s, n_frames = _bins(sr), _HOP / sr, _frames(n)
    force = _wander(n_frames, hop_s, 2.2, rng)
    gain = 0.5 * _hump(f, 140.0 * 2 ** (0.2 * force), 1.2) * np.exp(0.4 * force)
    gain = gain + 0.03 * _hump(f, 1200.0, 1.6) * np.exp(0.7 * force)
    for centre_hz, octaves, level in ((420.0, 0.10, 0.9), (760.0, 0.07, 0.6), (1500.0, 0.25, 0.12)):
        own = _wander(n_frames, hop_s, 1.1, rng)
        pitch = centre_hz * 2 ** (0.28 * force + 0.12 * own)
        gain = gain + level * _hump(f, pitch, octaves) * np.exp(0.8 * force + 0.3 * own)
    return _shaped_noise(gain, n, rng)


def _waves(n: int, sr: int, rng: np.random.Generator) -> Samples:
    f, hop_s, n_frames = _bins(sr), _HOP / sr, _frames(n)
    t = np.arange(n_frames) * hop_s
    gain = 0.05 * _hump(f, 300.0, 1.5) * np.ones(n_frames)
    at = -rng.uniform(0.0, 4.0)
    while at < t[-1]:
        size, rise_s, fall_s = rng.uniform(0.6, 1.0), rng.uniform(1.6, 2.4), rng.uniform(1.0, 1.6)
        since = t - at - rise_s
        build = np.where(since < 0, np.exp(np.minimum(since, 0) / (0.4 * rise_s)), 0.0)
        wash = np.where(since >= 0, np.exp(-np.maximum(since, 0) / fall_s), 0.0)
        body = size * (build + wash)
        # The breaker is bright; the water that runs up the beach is a thin, rising hiss.
        crash = size * np.clip(since / 0.2, 0.0, 1.0) * wash
        gain = gain + body * _hump(f, 280.0 * 2 ** (2 * body), 1.1)
        gain = gain + 0.9 * crash * _hump(f, 1800.0 * 2 ** (0.4 * np.maximum(since, 0)), 1.1)
        at += rng.uniform(4.0, 6.5)
    return _shaped_noise(gain, n, rng)


def _fire(n: int, sr: int, rng: np.random.Generator) -> Samples:
    f, hop_s, n_frames = _bins(sr), _HOP / sr, _frames(n)
    flicker = np.exp(0.5 * _wander(n_frames, hop_s, 0.25, rng))
    roar = _shaped_noise(_hump(f, 90.0, 0.9) * flicker, n, rng)
    hiss = _shaped_noise(_hump(f, 2500.0, 1.6) * flicker, n, rng)
    # Crackles come in flurries: the rate itself is random.
    rate = 12.0 * np.exp(1.3 * _wander(n, 1 / sr, 0.35, rng) - 0.8)
    crackle = _drops(
        n, sr, rng, rate=rate, band_hz=(1000.0, 7000.0), time_s=(0.0006, 0.003), spread=0.9
    )
    pops = _drops(n, sr, rng, rate=1.2, band_hz=(400.0, 1500.0), time_s=(0.003, 0.01), spread=0.4)
    return 0.06 * roar + 0.006 * hiss + 0.9 * crackle + 1.6 * pops


_MAKERS: dict[str, Callable[[int, int, np.random.Generator], Samples]] = {
    "fire": _fire,
    "rain": _rain,
    "waves": _waves,
    "wind": _wind,
}
AMBIENCES = tuple(_MAKERS)
