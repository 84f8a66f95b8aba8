"""Synthesised tones and drums: wavetables, envelopes, noise."""

import numpy as np
import numpy.typing as npt
from scipy import signal

from nst_core.synth.score import Note

Samples = npt.NDArray[np.float64]

_TABLE = 4096


def hertz(midi: float) -> float:
    """Return the frequency of a MIDI pitch in Hz, equal temperament, 69 is 440 Hz."""
    return float(440.0 * 2.0 ** ((midi - 69) / 12))


def wavetable(f0: float, sr: int, tilt: float, *, odd_only: bool = False) -> Samples:
    """Return one period of a harmonic tone whose partials fall as ``n ** -tilt``, below 0.45 sr.

    Returns
    -------
    shape (4096,), peak 1
    """
    n_partials = max(1, min(int(0.45 * sr / f0), 80))
    n = np.arange(1, n_partials + 1)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=complex)
    # Use Schroeder phases: partials that are all in phase would give a click train.
    spectrum[1 : n_partials + 1] = n**-tilt * np.exp(1j * np.pi * n * (n - 1) / n_partials)
    if odd_only:
        spectrum[2::2] = 0.0
    period: Samples = np.fft.irfft(spectrum)
    period /= np.max(np.abs(period))
    return period


def tone(
    f0: float,
    n: int,
    sr: int,
    *,
    dark: float,
    bright: float,
    brightness: Samples | float,
    vibrato: float = 0.0,
    odd_only: bool = False,
) -> Samples:
    """Play a tone that moves between two wavetables.

    Parameters
    ----------
    f0
        Hz.
    n
        Samples.
    dark, bright
        Tilts of the two tables.
    brightness : shape (n,), 0..1
        Share of the bright one.
    vibrato
        Depth as a share of `f0`, at 5.5 Hz, growing over 0.3 s.

    Returns
    -------
    shape (n,), peak about 1
    """
    t = np.arange(n) / sr
    phase = f0 * t
    if vibrato:
        swing = 1.0 - np.cos(2 * np.pi * 5.5 * t)
        phase = phase + vibrato * f0 / (2 * np.pi * 5.5) * swing * np.minimum(1.0, t / 0.3)
    at = (phase * _TABLE).astype(np.int64) & (_TABLE - 1)
    low = wavetable(f0, sr, dark, odd_only=odd_only)[at]
    high = wavetable(f0, sr, bright, odd_only=odd_only)[at]
    mixed: Samples = low + brightness * (high - low)
    return mixed


def decay(n: int, sr: int, time_s: float) -> Samples:
    """Return an exponential fall from 1 to 1/e in `time_s`, shape (n,)."""
    envelope: Samples = np.exp(-np.arange(n) / (time_s * sr))
    return envelope


def swell(n: int, sr: int, attack_s: float, release_s: float) -> Samples:
    """Return a rise, hold and fall, shape (n,), 0..1, with half-cosine flanks."""
    t = np.arange(n) / sr
    rise = np.clip(t / attack_s, 0.0, 1.0)
    fall = np.clip((n / sr - t) / release_s, 0.0, 1.0)
    envelope: Samples = 0.5 - 0.5 * np.cos(np.pi * np.minimum(rise, fall))
    return envelope


def place(y: Samples, sound: Samples, start_s: float, sr: int, gain: float = 1.0) -> None:
    """Add `sound` to `y` in place at `start_s`; the part past the end is cut off."""
    start = round(start_s * sr)
    stop = min(start + len(sound), len(y))
    if start < stop:
        y[start:stop] += gain * sound[: stop - start]


def plucked(note: Note, sr: int, *, ring_s: float, bright: float) -> Samples:
    """Play a struck string: bright at first; its partials fade before its fundamental."""
    n = int((note.duration_s + ring_s) * sr)
    f0 = hertz(note.midi)
    body = decay(n, sr, ring_s * min(1.5, 220.0 / f0 + 0.5) / 2)
    edge = decay(n, sr, ring_s / 8)
    string = tone(f0, n, sr, dark=2.2, bright=bright, brightness=edge)
    return note.velocity * body * string * swell(n, sr, 0.003, 0.05)


def bowed(note: Note, sr: int) -> Samples:
    """Play a bowed string: slow start, vibrato, steady upper partials."""
    n = int((note.duration_s + 0.15) * sr)
    shape = swell(n, sr, min(0.12, note.duration_s / 3), 0.2)
    f0 = hertz(note.midi)
    return (
        note.velocity
        * shape
        * tone(f0, n, sr, dark=1.8, bright=1.1, brightness=0.5 * shape, vibrato=0.006)
    )


def kick(sr: int) -> Samples:
    """Play a bass drum: a sine that falls from 160 to 48 Hz, and a click."""
    n = int(0.35 * sr)
    f = 48.0 + 112.0 * decay(n, sr, 0.03)
    return np.sin(2 * np.pi * np.cumsum(f) / sr) * decay(n, sr, 0.11) * swell(n, sr, 0.001, 0.05)


def snare(sr: int, rng: np.random.Generator) -> Samples:
    """Play a snare drum: 190 Hz skin under a burst of noise."""
    n = int(0.3 * sr)
    skin = np.sin(2 * np.pi * 190.0 * np.arange(n) / sr) * decay(n, sr, 0.05)
    rattle = noise_band(n, sr, (1200.0, 8000.0), rng) * decay(n, sr, 0.08)
    return 0.5 * skin + 0.5 * rattle


def cymbal(sr: int, rng: np.random.Generator, *, time_s: float) -> Samples:
    """Play a hi-hat or shaker: noise above 6 kHz that fades in `time_s`."""
    n = int(5 * time_s * sr)
    return noise_band(n, sr, (6000.0, 10500.0), rng) * decay(n, sr, time_s)


def noise_band(n: int, sr: int, band_hz: tuple[float, float], rng: np.random.Generator) -> Samples:
    """Make Gaussian noise between two frequencies, shape (n,), standard deviation about 0.3."""
    top = min(band_hz[1], 0.48 * sr)
    sos = signal.butter(2, (min(band_hz[0], 0.5 * top), top), "bandpass", fs=sr, output="sos")
    noise: Samples = signal.sosfilt(sos, rng.standard_normal(n))
    return 0.3 * noise / (np.std(noise) + 1e-12)


def reverb(y: Samples, sr: int, *, time_s: float, wet: float, rng: np.random.Generator) -> Samples:
    """Add a hall: convolve the sound with a decaying, darkened noise."""
    n = int(3 * time_s * sr)
    tail = rng.standard_normal(n) * decay(n, sr, time_s)
    tail = signal.sosfilt(signal.butter(1, min(3500.0, 0.45 * sr), fs=sr, output="sos"), tail)
    tail *= wet / np.sqrt(np.sum(np.square(tail)))
    wet_y: Samples = signal.oaconvolve(y, tail)[: len(y)]
    return y + wet_y
