"""Numbers that judge a result, independent of the loss that made it.

All are computed on re-analysed audio, and none raises on a bad score. Content says
how much of the music is left, texture how much of the ambience's grain is there, and
two gates tell a transfer from a mere mix: in a mix the music's own signal still sits
under its partials (``carrier_db`` is low), and what was added does not breathe with
the music (``follow`` is low).
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import fft

from nst_core.config import LEVEL
from nst_core.content import chroma_similarity, content_features, correlation, onset_f1
from nst_core.gates import carrier_deviation, follow
from nst_core.levels import rms, to_mono
from nst_core.spool import Sliceable
from nst_core.stft import FloatArray, power_spectrogram
from nst_core.texture import texture_moved
from nst_core.threads import side_by_side

GATES = {"content": 0.55, "texture": 0.55, "carrier_db": 3.4, "follow": 0.25}
"""What a pair at strength 1 must reach, all together, to be a transfer and no mix."""

_HIGH_HZ = 6000
_EXCERPTS, _EXCERPT_S = 8, 30.0


@dataclass(frozen=True)
class Metrics:
    """Figures of one result.

    Attributes
    ----------
    content
        Mean of `chroma`, `onset_correlation` and `spectrum`: 1 is the music, 0 the
        ambience.
    chroma, onset_correlation, spectrum
        Harmony, rhythm and melody (semitone spectrum), on the same scale.
    onset_f1
        Of onsets within 50 ms of the music's, 0..1.
    texture
        dTM: the ambience's grain once the music's own envelope is divided out; 0 is the
        music, 1 the ambience. A mix scores high too: read it with the gates.
    spectrum_moved
        LTAS: how far the long-term spectrum has come from the music's (0) to the
        ambience's (1).
    carrier_db
        Gate: mean deviation of the gain on the music's 5 % loudest bins. 0 is the music
        itself, 4 and more a new carrier.
    follow
        Gate: correlation, per band, of what was added with the music's envelope. Below
        0.25 it is laid over.
    high_share
        Share of energy above 6 kHz, 0..1.
    """

    content: float
    chroma: float
    onset_correlation: float
    spectrum: float
    onset_f1: float
    texture: float
    spectrum_moved: float
    carrier_db: float
    follow: float
    high_share: float

    @property
    def verdict(self) -> str:
        """``transfer``, or which of `GATES` are missed; a low strength misses some by nature."""
        missed = [name for name, least in GATES.items() if not getattr(self, name) >= least]
        return "misses " + " ".join(missed) if missed else "transfer"


def evaluate(
    y: Sliceable, music: Sliceable, ambience: FloatArray, sr: int, *, n_threads: int = 1
) -> Metrics:
    """Judge a result against its two inputs.

    Parameters
    ----------
    y, music : shape (n_samples,) or (n_samples, 2), float32
        Result and music, at least 1 s; the longer one is cut. Of pieces of more than four
        minutes eight evenly spread excerpts are judged, end to end, which are four minutes
        together: a cut is an onset of both, one in half a minute.
    ambience : shape (any,), float32
        Best a stretch of the ambience that was not used. Levels do not matter.
    sr
        Hz; the figures are calibrated at 22,050.
    n_threads
        Figures that are computed at a time; changes none.
    """
    heard = _excerpts(min(len(y), len(music)), sr)
    y, music = (np.concatenate([to_mono(x[part]) for part in heard]) for x in (y, music))
    y, music, ambience = (_unit_rms(x) for x in (y, music, ambience))
    looped = np.resize(ambience, len(y))
    with fft.set_workers(n_threads):
        texture, out, kept, other, carrier_db, followed, high = side_by_side(
            [
                partial(texture_moved, y, music, ambience, sr),
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
        content=(chroma + onsets + spectrum) / 3,
        chroma=chroma,
        onset_correlation=onsets,
        spectrum=spectrum,
        onset_f1=onset_f1(out.onsets, kept.onsets, sr),
        texture=texture,
        spectrum_moved=_spectrum_moved(out.long_term_db, kept.long_term_db, other.long_term_db),
        carrier_db=carrier_db,
        follow=followed,
        high_share=high,
    )


def _excerpts(n_samples: int, sr: int) -> list[slice]:
    """What is judged of a piece: all, or of a long one the same amount whatever its length."""
    n = round(_EXCERPT_S * sr)
    if n_samples <= _EXCERPTS * n:
        return [slice(0, n_samples)]
    starts = np.linspace(0, n_samples - n, _EXCERPTS).astype(int)
    return [slice(start, start + n) for start in starts]


def _unit_rms(y: FloatArray) -> FloatArray:
    return (y * np.float32(LEVEL / max(rms(y), 1e-9))).astype(np.float32, copy=False)


def _rescaled(value: float, chance: float) -> float:
    return (value - chance) / max(1 - chance, 1e-6)


def _spectrum_moved(out: FloatArray, music: FloatArray, ambience: FloatArray) -> float:
    whole = float(np.linalg.norm(music - ambience))
    return 1 - float(np.linalg.norm(out - ambience)) / max(whole, 1e-6)


def high_share(y: FloatArray, sr: int) -> float:
    """Share of energy above 6 kHz, 0..1: hiss shows here first."""
    power = power_spectrogram(y, 2048, 2048).sum(axis=0)
    is_high = np.fft.rfftfreq(2048, 1 / sr) > _HIGH_HZ
    return float(power[is_high].sum() / (power.sum() + 1e-12))
