"""Demo sounds made from a seed: music in four genres, and four ambiences.

Everything is float32, mono, at a root mean square of 0.1 (a little less where peaks over
0.6 were bent to stay under 0.95). The same arguments give the same samples on one build of
numpy and scipy.
"""

import numpy as np

from nst_core.ambiences import AMBIENCES, make_ambience
from nst_core.config import LEVEL, MelConfig
from nst_core.errors import ConfigError
from nst_core.instruments import Samples, swell
from nst_core.levels import Waveform
from nst_core.players import GENRES, play
from nst_core.score import compose

__all__ = ["AMBIENCES", "GENRES", "ambience", "music_piece"]

_MAX_PEAK = 0.95
_KNEE = 0.6


def music_piece(genre: str, duration_s: float, *, seed: int, sr: int = MelConfig.sr) -> Waveform:
    """Play a made-up piece with melody, chords and drums.

    Parameters
    ----------
    genre
        One of `GENRES`.
    duration_s
        Above 0; the piece is cut there.
    seed
        Another one is another key, tempo, progression and melody: see `score.compose`.
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
    """Make a stretch of weather or fire.

    Parameters
    ----------
    kind
        One of `AMBIENCES`.
    duration_s
        Above 0.
    seed
        Another one is another stretch of the same kind.
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
        raise ConfigError(f"duration_s = {duration_s:g} at {sr} Hz holds no sample; give more")
    return n


def _levelled(y: Samples, sr: int) -> Waveform:
    faded = y * swell(len(y), sr, 0.005, 0.02)
    scaled = faded * (LEVEL / (np.sqrt(np.mean(np.square(faded))) + 1e-12))
    # A crackle stands 30 dB over its fire: what passes the knee is bent, not cut.
    excess = np.maximum(np.abs(scaled) - _KNEE, 0.0) / (_MAX_PEAK - _KNEE)
    bent = np.sign(scaled) * (_KNEE + (_MAX_PEAK - _KNEE) * np.tanh(excess))
    levelled: Waveform = np.where(excess > 0, bent, scaled).astype(np.float32)
    return levelled
