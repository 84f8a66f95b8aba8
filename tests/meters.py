"""Meters that share no code with the product's meters."""

import numpy as np

_FACTOR = 16
_SILENCE = 4000


def fine_peak_dbtp(y):
    """Return the highest value between samples, by a Fourier transform, 16 points per sample."""
    y = np.pad(np.asarray(y, float).reshape(len(y), -1), [(_SILENCE, _SILENCE), (0, 0)])
    fine = _FACTOR * np.fft.irfft(np.fft.rfft(y, axis=0), _FACTOR * len(y), axis=0)
    return 20 * np.log10(np.abs(fine).max())


def band_noise(shape, seed=0):
    """Return white noise up to 0.45 of the sample rate, where converters start to fall; RMS 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(shape), axis=0)
    spectrum[round(0.9 * len(spectrum)) :] = 0
    y = np.fft.irfft(spectrum, shape[0], axis=0)
    return (y / y.std()).astype("f4")


def level_db(y, sr, low_hz, high_hz):
    """Return the energy between two frequencies of all channels together."""
    y = np.asarray(y, float).reshape(len(y), -1)
    power = np.square(np.abs(np.fft.rfft(y * np.hanning(len(y))[:, None], axis=0))).sum(axis=1)
    hz = np.fft.rfftfreq(len(y), 1 / sr)
    return 10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-30)


def loudest_hz(y, sr):
    """Return the frequency of the strongest bin of a sound, or of its first channel."""
    mono = y if y.ndim == 1 else y[:, 0]
    return np.argmax(np.abs(np.fft.rfft(mono * np.hanning(len(mono))))) * sr / len(mono)
