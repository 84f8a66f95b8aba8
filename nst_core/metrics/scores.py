"""Metrics that judge a result, independent of the loss that was optimised.

All are computed on re-analysed audio, and none raises for a bad result. Content says how
much of the music remains, texture how much of the ambience's grain is there. Two gates tell
a transfer from a mere mix: a mix still contains the music's own signal (``carrier_db`` is
low), and its added sound does not follow the music's dynamics (``follow`` is low).
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import rms, to_mono
from nst_core.config import LEVEL, MelConfig
from nst_core.metrics.content import chroma_similarity, content_features, correlation, onset_f1
from nst_core.metrics.gates import carrier_deviation, follow
from nst_core.metrics.identity import identity
from nst_core.metrics.texture import texture_moved
from nst_core.runtime.threads import side_by_side, thread_budget
from nst_core.spectral.stft import power_spectrogram
from nst_core.streaming.arrays import Sliceable
from nst_core.streaming.resampling import resample

_SR = MelConfig.sr
"""Rate that the metrics are calibrated at, in Hz."""
_HIGH_HZ = 6000
_EXCERPTS, _EXCERPT_S = 8, 30.0
_ALIKE = 0.9
"""Inputs whose feature correlates more than this are alike: two pieces by one band reach 0.88."""
_ALIKE_DB = 6.0
"""The same for the distance of two long-term spectra: about 1 dB per band. Two white noises have
1.5, and two pieces by one band 11."""


@dataclass(frozen=True)
class Metrics:
    """Metrics of one result.

    Attributes
    ----------
    content
        Mean of `chroma`, `onset_correlation` and `spectrum`: 1 is the music, 0 the
        ambience. These four are None if the inputs are so alike in one of them that nothing can
        lie between the two.
    chroma, onset_correlation, spectrum
        Harmony, rhythm and melody (semitone spectrum), on the same scale.
    onset_f1
        F1 score of onsets within 50 ms of the music's, 0..1.
    texture
        dTM: how much of the ambience's grain there is, after the music's own envelope is
        divided out; 0 is the music, 1 the ambience. A mix also scores high, so read it together
        with the gates.
    identity
        Whether the sound is that of the ambience (1) or of the music's instruments (0); None if
        the inputs are too alike.
    spectrum_moved
        LTAS: how far the long-term spectrum has moved from the music's (0) to the
        ambience's (1); None if both have the same spectrum.
    carrier_db
        Gate: mean deviation of the gain on the music's 5 % loudest bins. 0 is the music
        itself; 4 and more mean a new carrier.
    follow
        Gate: correlation, per band, of the added sound with the music's envelope. Below
        0.25, the ambience is merely mixed in.
    high_share
        Share of energy above 6 kHz, 0..1.
    """

    content: float | None
    chroma: float | None
    onset_correlation: float | None
    spectrum: float | None
    onset_f1: float
    texture: float
    identity: float | None
    spectrum_moved: float | None
    carrier_db: float
    follow: float
    high_share: float


def evaluate(
    y: Sliceable, music: Sliceable, ambience: FloatArray, sr: int, *, n_threads: int = 1
) -> Metrics:
    """Measure a result against its two inputs.

    Parameters
    ----------
    y, music : shape (n_samples,) or (n_samples, 2), float32
        Result and music, at least 1 s; the longer one is cut. For pieces of more than four
        minutes, eight evenly spread excerpts of half a minute are joined and measured; each cut
        adds one onset to both signals.
    ambience : shape (any,), float32
        Preferably a part of the ambience that was not used. Levels do not matter.
    sr
        Hz, of all three; what lies above 11 kHz is not measured.
    n_threads
        Metrics that are computed at a time; does not change any of them.
    """
    heard = _excerpts(min(len(y), len(music)), sr)
    y, music = (np.concatenate([to_mono(x[part]) for part in heard]) for x in (y, music))
    y, music, ambience = (_unit_rms(resample(x, sr, _SR)) for x in (y, music, ambience))
    sr = _SR
    looped = np.resize(ambience, len(y))
    with thread_budget(n_threads):
        texture, like, out, kept, other, carrier_db, followed, high = side_by_side(
            [
                partial(texture_moved, y, music, ambience, sr),
                partial(identity, y, music, ambience, sr),
                *(partial(content_features, x, sr) for x in (y, music, looped)),
                partial(carrier_deviation, y, music, sr),
                partial(follow, y, music, sr),
                partial(high_share, y, sr),
            ]
        )
    chroma = _rescaled(chroma_similarity(out, kept), chroma_similarity(other, kept))
    onsets = _rescaled(correlation(out.onsets, kept.onsets), correlation(other.onsets, kept.onsets))
    spectrum = _rescaled(
        correlation(out.log_semitones, kept.log_semitones),
        correlation(other.log_semitones, kept.log_semitones),
    )
    return Metrics(
        content=_mean(chroma, onsets, spectrum),
        chroma=chroma,
        onset_correlation=onsets,
        spectrum=spectrum,
        onset_f1=onset_f1(out.onsets, kept.onsets, sr),
        texture=texture,
        identity=like,
        spectrum_moved=_spectrum_moved(out.long_term_db, kept.long_term_db, other.long_term_db),
        carrier_db=carrier_db,
        follow=followed,
        high_share=high,
    )


def _excerpts(n_samples: int, sr: int) -> list[slice]:
    """Return the measured parts of a piece: all of it, or a fixed amount of a long piece."""
    n = round(_EXCERPT_S * sr)
    if n_samples <= _EXCERPTS * n:
        return [slice(0, n_samples)]
    starts = np.linspace(0, n_samples - n, _EXCERPTS).astype(int)
    return [slice(start, start + n) for start in starts]


def _unit_rms(y: FloatArray) -> FloatArray:
    return (y * np.float32(LEVEL / max(rms(y), 1e-9))).astype(np.float32, copy=False)


def _rescaled(value: float, chance: float) -> float | None:
    """Return where a value is between that of the ambience (0) and that of the music (1)."""
    return (value - chance) / (1 - chance) if chance <= _ALIKE else None


def _mean(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(values) if len(known) == len(values) else None


def _spectrum_moved(out: FloatArray, music: FloatArray, ambience: FloatArray) -> float | None:
    whole = float(np.linalg.norm(music - ambience))
    return 1 - float(np.linalg.norm(out - ambience)) / whole if whole > _ALIKE_DB else None


def high_share(y: FloatArray, sr: int) -> float:
    """Return the share of energy above 6 kHz, 0..1, which shows hiss first."""
    power = power_spectrogram(y, 2048, 2048).sum(axis=0)
    is_high = np.fft.rfftfreq(2048, 1 / sr) > _HIGH_HZ
    return float(power[is_high].sum() / (power.sum() + 1e-12))
