"""Excite the ambience with the music's partials.

Phases are the ambience's own: its whitened STFT gets the music's magnitudes.
Arrays are time-major, ``(n_frames, n_bins)``.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.config import CarrierConfig
from nst_core.spectral.stft import istft, squared_magnitude, stft

_EPS = np.float32(1e-9)
_MIN_RELIEF = np.float32(0.03)
"""Bound of the gain in valleys between partials: beyond -30 dB nothing is audible."""
_HIGH_EXPONENT = 4.0
"""Makes the plain share at high frequencies 0.992 where it is 0.7 at low ones."""


@dataclass(frozen=True)
class Partials:
    """The music's magnitudes on the long window, as two factors of shape (n_frames, n_bins).

    Attributes
    ----------
    level
        Root of the mean power over neighbouring bins.
    relief
        Magnitude divided by `level`: above 1 in a partial, below 1 next to it.
    """

    level: FloatArray
    relief: FloatArray


def partials(music: FloatArray, config: CarrierConfig) -> Partials:
    """Separate the music's partials from its spectral envelope.

    Parameters
    ----------
    music : shape (n_samples,), float32
    """
    power = squared_magnitude(stft(music, config.n_fft, config.hop_length))
    # The filter's running sum can be slightly negative where silence follows sound.
    level = np.maximum(uniform_filter1d(power, config.sharpen_bins, axis=1), 0)
    level = np.sqrt(level) + _EPS
    relief = np.sqrt(power, out=power)
    relief /= level
    return Partials(level, relief)


def excite(music: Partials, ambience: FloatArray, config: CarrierConfig) -> FloatArray:
    """Give the whitened ambience the music's sharpened magnitudes.

    Parameters
    ----------
    music
        Partials of music that is as long as the ambience.
    ambience : shape (n_samples,), float32

    Returns
    -------
    shape (n_samples,), float32
        At an arbitrary level.
    """
    gain = np.power(music.relief, np.float32(config.sharpen))
    gain *= music.level
    D = stft(ambience, config.n_fft, config.hop_length)
    smooth = uniform_filter1d(squared_magnitude(D), config.whiten_bins, axis=1)
    smooth = np.maximum(uniform_filter1d(smooth, config.whiten_frames, axis=0), 0)
    gain /= np.sqrt(smooth + _EPS)
    D *= gain
    return istft(D, config.hop_length, len(ambience))


def plain_share(hz: FloatArray, config: CarrierConfig) -> FloatArray:
    """Return the plain ambience's share, 0 to 1, of the carrier's power at each of `hz`."""
    low, high = np.log2([config.excitation_low_hz, config.excitation_high_hz])
    along = np.clip((np.log2(np.maximum(hz, 1)) - low) / (high - low), 0, 1)
    tonal = np.float_power(1 - config.excitation, 1 + (_HIGH_EXPONENT - 1) * along)
    share: FloatArray = (1 - tonal).astype(np.float32)
    return share


def blend_plain(
    excited: FloatArray, ambience: FloatArray, sr: int, config: CarrierConfig
) -> FloatArray:
    """Mix the plain ambience into the excited one, at constant power in every frequency.

    Parameters
    ----------
    excited, ambience : shape (n_samples,), float32
        Both with the same band powers.
    sr
        Hz.

    Returns
    -------
    shape (n_samples,), float32
    """
    hz = np.fft.rfftfreq(config.blend_n_fft, 1 / sr)
    share = plain_share(hz, config)
    hop = config.blend_n_fft // 4
    D = stft(excited, config.blend_n_fft, hop)
    D *= np.sqrt(1 - share)
    plain = stft(ambience, config.blend_n_fft, hop)
    plain *= np.sqrt(share)
    D += plain
    return istft(D, hop, len(excited))


def refocus(
    y: FloatArray, music: Partials, weight: FloatArray, sr: int, config: CarrierConfig
) -> FloatArray:
    """Reduce sound that has spread from the music's partials to the space between them.

    The gains of `impose` change within milliseconds and are as wide as auditory filters, so they
    smear each partial over its neighbours, and a transcriber loses the notes. In the range of
    fundamentals and low harmonics, the space between partials is lowered here. Higher partials
    are too close to be separated and would ring.

    Parameters
    ----------
    y : shape (n_samples,), float32
        As long as the music.
    weight : shape (n_frames,), float32
        Exponent of the gains, 0 (none) to 1, at each frame of the long window.
    sr
        Hz.
    """
    hz = np.fft.rfftfreq(config.n_fft, 1 / sr)
    full, none = np.log2([config.refocus_full_hz, config.refocus_none_hz])
    below = hz[hz < config.refocus_none_hz]
    share = np.clip((none - np.log2(np.maximum(below, 1))) / (none - full), 0, 1)
    share *= 1 - plain_share(below, config)
    gain = np.clip(music.relief[:, : len(below)], _MIN_RELIEF, config.refocus_max_gain)
    np.power(gain, (weight[:, None] * share).astype(np.float32), out=gain)
    D = stft(y, config.n_fft, config.hop_length)
    D[:, : len(below)] *= gain
    return istft(D, config.hop_length, len(y))
