"""Demo sounds from a seed: music in four genres, and four ambiences.

All sounds are float32, mono, with a root mean square of 0.1 (slightly less if peaks over 0.6 were
compressed to stay below 0.95). The same arguments give the same samples with the same build of
numpy and scipy.
"""

import numpy as np

from nst_core.arrays import Waveform
from nst_core.config import LEVEL, MelConfig
from nst_core.errors import ConfigError
from nst_core.synth.ambiences import AMBIENCES, make_ambience
from nst_core.synth.instruments import Samples, swell
from nst_core.synth.players import GENRES, play
from nst_core.synth.score import compose

__all__ = ["AMBIENCES", "GENRES", "ambience", "music_piece"]

_MAX_PEAK = 0.95
_KNEE = 0.6


def music_piece(genre: str, duration_s: float, *, seed: int, sr: int = MelConfig.sr) -> Waveform:
    """Synthesise a generated piece with melody, chords and drums.

    Parameters
    ----------
    genre
        One of `GENRES`.
    duration_s
        Above 0; the piece is cut there.
    seed
        Determines key, tempo, progression and melody; see `score.compose`.
    sr
        Hz.

    Returns
    -------
    shape (duration_s * sr, rounded,), float32

    Raises
    ------
    ConfigError
        For an unknown genre or an empty duration.
    """
    if genre not in GENRES:
        raise ConfigError(f"genre {genre!r} is not one of {', '.join(GENRES)}")
    n = _n_samples(duration_s, sr)
    score = compose(genre, duration_s, seed=seed)
    rng = np.random.default_rng([seed, *genre.encode()])
    return _levelled(play(genre, score, n, sr, rng), sr)


def ambience(kind: str, duration_s: float, *, seed: int, sr: int = MelConfig.sr) -> Waveform:
    """Synthesise the sound of weather or fire.

    Parameters
    ----------
    kind
        One of `AMBIENCES`.
    duration_s
        Above 0.
    seed
        Selects another passage of the same kind.
    sr
        Hz.

    Returns
    -------
    shape (duration_s * sr, rounded,), float32

    Raises
    ------
    ConfigError
        For an unknown kind or an empty duration.
    """
    if kind not in AMBIENCES:
        raise ConfigError(f"ambience {kind!r} is not one of {', '.join(AMBIENCES)}")
    n = _n_samples(duration_s, sr)
    return _levelled(make_ambience(kind, n, sr, np.random.default_rng([seed, *kind.encode()])), sr)


def _n_samples(duration_s: float, sr: int) -> int:
    n = round(duration_s * sr)
    if n <= 0:
        raise ConfigError(
            f"duration_s = {duration_s:g} at {sr} Hz contains no sample; choose a longer duration"
        )
    return n


def _levelled(y: Samples, sr: int) -> Waveform:
    faded = y * swell(len(y), sr, 0.005, 0.02)
    scaled = faded * (LEVEL / (np.sqrt(np.mean(np.square(faded))) + 1e-12))
    # A crackle is 30 dB above its fire: compress peaks above the knee instead of clipping them.
    excess = np.maximum(np.abs(scaled) - _KNEE, 0.0) / (_MAX_PEAK - _KNEE)
    bent = np.sign(scaled) * (_KNEE + (_MAX_PEAK - _KNEE) * np.tanh(excess))
    levelled: Waveform = np.where(excess > 0, bent, scaled).astype(np.float32)
    return levelled
