"""Sounds that are no transfer, and show what metrics and listeners make of one.

Each function takes waveforms of shape (n_samples,), float32, at RMS 0.1: music, and an ambience
of its length. It returns the same shape at the same RMS.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import ellip, sosfiltfilt

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import set_rms
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.stft import istft, stft

_ANCHOR_HZ = 3500.0


def mix(music: FloatArray, ambience: FloatArray, sr: int) -> FloatArray:
    """Mix both at equal levels."""
    del sr
    together: FloatArray = music + ambience
    return set_rms(together)


def eq(music: FloatArray, ambience: FloatArray, sr: int) -> FloatArray:
    """Equalise the music to the ambience's long-term spectrum."""
    bank = erb_bank(40, 1024, sr)
    M, A = stft(music, 1024, 256), stft(ambience, 1024, 256)
    long_term = [(np.abs(D) ** 2 @ bank.T).mean(axis=0) + 1e-9 for D in (M, A)]
    gain = np.sqrt(long_term[1] / long_term[0]).astype(np.float32) @ bank
    return set_rms(istft(M * gain, 256, len(music)))


def eq_mix(music: FloatArray, ambience: FloatArray, sr: int) -> FloatArray:
    """Equalise the music to the ambience's long-term spectrum, then mix both at equal levels."""
    together: FloatArray = eq(music, ambience, sr) + ambience
    return set_rms(together)


def vocoder(music: FloatArray, ambience: FloatArray, sr: int) -> FloatArray:
    """Divide the ambience by its smooth envelope, and multiply it by the music's magnitudes."""
    del sr
    M, A = stft(music, 2048, 512), stft(ambience, 2048, 512)
    smooth = np.sqrt(uniform_filter1d(np.abs(A) ** 2, 65, axis=1)) + 1e-6
    return set_rms(istft((A / smooth * np.abs(M)).astype(np.complex64), 512, len(music)))


def low_pass(music: FloatArray, ambience: FloatArray, sr: int) -> FloatArray:
    """Cut the music off at 3.5 kHz: the low anchor of ITU-R BS.1534-3.

    The standard asks for at most 0.1 dB of ripple below 3.5 kHz, and for an attenuation of at
    least 25 dB from 4 kHz and 50 dB from 4.5 kHz. An elliptic filter that runs forward and
    backward has 0.04 dB and 60 dB.
    """
    del ambience
    sections = ellip(10, 0.02, 30, _ANCHOR_HZ, fs=sr, output="sos")
    dull: FloatArray = sosfiltfilt(sections, music).astype(np.float32)
    return set_rms(dull)
