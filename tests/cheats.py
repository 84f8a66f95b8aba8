"""More cheats that a metric might mistake for a transfer, and a control that lacks only content.

The cheats that listeners judge as well are in `nst_core.metrics.controls`. Each takes and returns
waveforms of shape (n_samples,), float32, at RMS 0.1: music, and an ambience of its length.
"""

import numpy as np
from scipy.ndimage import convolve1d, gaussian_filter1d

from nst_core.audio.loudness import set_rms
from nst_core.config import InversionConfig, MelConfig
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.mel import power_mel
from nst_core.spectral.mel_inversion import mel_to_audio
from nst_core.spectral.stft import istft, stft


def side_chain(music, ambience, sr):
    """Duck the ambience where the music is quiet, then mix."""
    envelope = np.sqrt(gaussian_filter1d(music.astype(np.float64) ** 2, 0.03 * sr))
    return set_rms(music + set_rms((ambience * envelope).astype(np.float32)))


def mel_round_trip(music, ambience, sr):
    """Return the music's own mel as sound: without any ambience, with new phases."""
    del ambience
    mel = MelConfig(sr=sr)
    return set_rms(
        mel_to_audio(power_mel(music, mel), mel, InversionConfig(), n_samples=len(music))
    )


def crossfade(music, transferred):
    """Half music, half a real transfer."""
    return set_rms(music + set_rms(transferred))


def under_envelopes(music, ambience, sr):
    """Positive control: the ambience in 24 bands, each as loud as the music was over 20 ms."""
    bank = erb_bank(24, 1024, sr)
    D, goal = stft(ambience, 1024, 64), stft(music, 1024, 64)
    wanted, own = (np.abs(X) ** 2 @ bank.T for X in (goal, D))
    lag_s = np.arange(-sr // 640, sr // 640 + 1) * 64 / sr
    kernel = np.exp(-0.5 * (lag_s / np.where(lag_s < 0, 0.002, 0.02)) ** 2)  # no early attacks
    wanted = convolve1d(wanted, kernel / kernel.sum(), axis=0, mode="nearest")
    gain = np.sqrt(wanted / (own.mean(axis=0) + 1e-9))
    return set_rms(istft((D * (gain @ bank)).astype(np.complex64), 64, len(music)))
