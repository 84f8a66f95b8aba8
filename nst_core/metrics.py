"""Numbers that judge a result, independent of the loss that made it.

All are computed on re-analysed audio, and none raises on a bad score. Content says
how much of the music is left, texture how much of the ambience's grain is there, and
two gates tell a transfer from a mere mix: in a mix the music's own signal still sits
under its partials (``carrier_db`` is low), and what was added does not breathe with
the music (``follow`` is low).
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from nst_core.bands import band_spectrogram
from nst_core.erb import erb_bank
from nst_core.levels import rms
from nst_core.stft import FloatArray, power_spectrogram
from nst_core.texture import texture_moved, wide_bank
from nst_core.threads import side_by_side

GATES = {"content": 0.55, "texture": 0.55, "carrier_db": 3.4, "follow": 0.25}
"""What a pair at strength 1 must reach, all together, to be a transfer and no mix."""

_ONSET_TOLERANCE_S = 0.05
_HIGH_HZ = 6000


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
    y: FloatArray, music: FloatArray, ambience: FloatArray, sr: int, *, n_threads: int = 1
) -> Metrics:
    """Judge a result against its two inputs.

    Parameters
    ----------
    y, music : shape (n_samples,), float32
        Result and music, at least 1 s; the longer one is cut.
    ambience : shape (any,), float32
        Best a stretch of the ambience that was not used. Levels do not matter.
    sr
        Hz; the figures are calibrated at 22,050.
    n_threads
        Figures that are computed at a time; changes none.
    """
    n = min(len(y), len(music))
    y, music, ambience = (_unit_rms(x) for x in (y[:n], music[:n], ambience))
    looped = np.resize(ambience, n)
    with fft.set_workers(n_threads):
        texture, out, kept, other, carrier_db, followed, high = side_by_side(
            [
                partial(texture_moved, y, music, ambience, sr),
                *(partial(_content_features, x, sr) for x in (y, music, looped)),
                partial(carrier_deviation, y, music, sr),
                partial(follow, y, music, sr),
                partial(high_share, y, sr),
            ]
        )
    chroma = _rescaled(_chroma_similarity(out, kept), _chroma_similarity(other, kept))
    onsets = _rescaled(
        _correlation(out.onsets, kept.onsets), _correlation(other.onsets, kept.onsets)
    )
    spectrum = _rescaled(
        _correlation(out.log_semitones, kept.log_semitones),
        _correlation(other.log_semitones, kept.log_semitones),
    )
    return Metrics(
        content=(chroma + onsets + spectrum) / 3,
        chroma=chroma,
        onset_correlation=onsets,
        spectrum=spectrum,
        onset_f1=_onset_f1(out.onsets, kept.onsets, sr),
        texture=texture,
        spectrum_moved=_spectrum_moved(out.long_term_db, kept.long_term_db, other.long_term_db),
        carrier_db=carrier_db,
        follow=followed,
        high_share=high,
    )


def _unit_rms(y: FloatArray) -> FloatArray:
    return (y * np.float32(0.1 / max(rms(y), 1e-9))).astype(np.float32, copy=False)


def _rescaled(value: float, chance: float) -> float:
    return (value - chance) / max(1 - chance, 1e-6)


def _correlation(a: FloatArray, b: FloatArray) -> float:
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))


# -- content ------------------------------------------------------------------


@dataclass(frozen=True)
class _Content:
    chroma: FloatArray
    energy: FloatArray
    log_semitones: FloatArray
    onsets: FloatArray
    long_term_db: FloatArray


@lru_cache(maxsize=4)
def _semitone_bank(n_fft: int, sr: int) -> FloatArray:
    """Bins to the 72 semitones from C2 (65 Hz), triangles a semitone wide."""
    frequency = np.fft.rfftfreq(n_fft, 1 / sr)
    pitch = 12 * np.log2(np.maximum(frequency, 1) / 65.406)
    bank: FloatArray = np.maximum(0, 1 - np.abs(pitch[:, None] - np.arange(72))).astype(np.float32)
    return bank


def _content_features(y: FloatArray, sr: int) -> _Content:
    n_fft, hop = 4096, 1024
    semitones = band_spectrogram(y, n_fft, hop, _semitone_bank(n_fft, sr))
    bands = band_spectrogram(y, 1024, 256, erb_bank(40, 1024, sr))
    log_bands = np.log(bands + 1e-4)
    flux = np.maximum(log_bands[2:] - log_bands[:-2], 0).mean(axis=1)
    return _Content(
        chroma=np.sqrt(semitones.reshape(len(semitones), 6, 12).sum(axis=1)),
        energy=semitones.sum(axis=1),
        log_semitones=np.log(semitones + 1e-2),
        onsets=np.pad(flux, 1),
        long_term_db=10 * np.log10(bands.mean(axis=0) + 1e-8),
    )


def _chroma_similarity(a: _Content, b: _Content) -> float:
    """Cosine of chroma about its mean, frame by frame, weighted by the energy of `b`."""
    x, z = (c.chroma - c.chroma.mean(axis=1, keepdims=True) for c in (a, b))
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(z, axis=1) + 1e-9
    return float(np.average((x * z).sum(axis=1) / norms, weights=b.energy + 1e-12))


def _onset_times(envelope: FloatArray, sr: int) -> npt.NDArray[np.float64]:
    """Local maxima over 70 ms that stand out of the surrounding 0.4 s."""
    is_peak = envelope == maximum_filter1d(envelope, 7)
    threshold = uniform_filter1d(envelope, 35) + 0.5 * envelope.std()
    times: npt.NDArray[np.float64] = np.flatnonzero(is_peak & (envelope > threshold)) * 256 / sr
    return times


def _onset_f1(found: FloatArray, wanted: FloatArray, sr: int) -> float:
    a, b = _onset_times(found, sr), _onset_times(wanted, sr)
    hits, i, j = 0, 0, 0
    while i < len(a) and j < len(b):
        if abs(a[i] - b[j]) <= _ONSET_TOLERANCE_S:
            hits, i, j = hits + 1, i + 1, j + 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / (len(a) + len(b)) if len(a) + len(b) else 1.0


def _spectrum_moved(out: FloatArray, music: FloatArray, ambience: FloatArray) -> float:
    whole = float(np.linalg.norm(music - ambience))
    return 1 - float(np.linalg.norm(out - ambience)) / max(whole, 1e-6)


# -- gates --------------------------------------------------------------------


def carrier_deviation(y: FloatArray, music: FloatArray, sr: int) -> float:
    """How little of the music's own signal is left under its loudest bins, in dB.

    In each bin of 80 Hz..5 kHz that is often among the music's 5 % loudest, the mean
    absolute deviation of ``10 log10(result / music)`` from its median.
    """
    n_fft, hop = 2048, 512
    low, high = (int(hz * n_fft / sr) for hz in (80, 5000))
    bins = slice(low + 1, high + 1)
    M, Y = (power_spectrogram(x, n_fft, hop, bins=bins) for x in (music, y))
    is_loud = np.quantile(M, 0.95) <= M
    M += np.float32(1e-9)
    Y += np.float32(1e-9)
    gain_db = np.log10(np.divide(Y, M, out=Y), out=Y)
    gain_db *= 10
    total, count = 0.0, 0
    for k in range(M.shape[1]):
        gains = gain_db[is_loud[:, k], k]
        if len(gains) >= 8:
            total += float(np.abs(gains - np.median(gains)).sum())
            count += len(gains)
    return total / count if count else 0.0


def follow(y: FloatArray, music: FloatArray, sr: int) -> float:
    """fB: how far what is not the music's own signal rises and falls with it, per band.

    The gain that holds in 90 % of the frames explains the music's share; the log of the
    rest is correlated with the music's log envelope.
    """
    n_fft, hop = 1024, 256
    bank = wide_bank(n_fft, 32, sr)
    M, Y = (band_spectrogram(x, n_fft, hop, bank) for x in (music, y))
    explained = np.quantile(Y / (M + 1e-3 * M.mean(axis=0) + 1e-9), 0.1, axis=0)
    rest = np.maximum(Y - explained * M, 0)
    a = uniform_filter1d(np.log(rest + 1e-9 + 1e-3 * Y.mean(axis=0)), 9, axis=0)
    b = uniform_filter1d(np.log(M + 1e-9 + 1e-3 * M.mean(axis=0)), 9, axis=0)
    return float(np.mean([_correlation(a[:, k], b[:, k]) for k in range(bank.shape[1])]))


def high_share(y: FloatArray, sr: int) -> float:
    """Share of energy above 6 kHz, 0..1: hiss shows here first."""
    power = power_spectrogram(y, 2048, 2048).sum(axis=0)
    is_high = np.fft.rfftfreq(2048, 1 / sr) > _HIGH_HZ
    return float(power[is_high].sum() / (power.sum() + 1e-12))
