"""Content metrics: how much of the music's harmony, melody and rhythm a result keeps.

Chroma and onsets differ from librosa's: `librosa.filters.chroma` folds bins with Gaussians, and
`librosa.util.peak_pick` has another threshold. The gates are calibrated on these metrics.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from nst_core.arrays import FloatArray
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank

_ONSET_TOLERANCE_S = 0.05


def correlation(a: FloatArray, b: FloatArray) -> float:
    """Return Pearson's correlation of two arrays of the same shape; 0 if one is constant."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))


@dataclass(frozen=True)
class Content:
    """Features by which two waveforms of the same length are compared.

    Attributes
    ----------
    chroma : shape (n_frames, 12), float32
        Root of the power per pitch class; frames of 4096 samples, every 1024 samples.
    energy : shape (n_frames,), float32
        Power of all semitones.
    log_semitones : shape (n_frames, 72), float32
    onsets : shape (n_flux_frames,), float32
        Mean rise of 40 ERB bands over two frames; every 256 samples.
    long_term_db : shape (40,), float32
        Mean power of those bands.
    """

    chroma: FloatArray
    energy: FloatArray
    log_semitones: FloatArray
    onsets: FloatArray
    long_term_db: FloatArray


@lru_cache(maxsize=4)
def _semitone_bank(n_fft: int, sr: int) -> FloatArray:
    """Return a bank from bins to the 72 semitones from C2 (65 Hz), triangles a semitone wide."""
    frequency = np.fft.rfftfreq(n_fft, 1 / sr)
    pitch = 12 * np.log2(np.maximum(frequency, 1) / 65.406)
    bank: FloatArray = np.maximum(0, 1 - np.abs(pitch - np.arange(72)[:, None])).astype(np.float32)
    return bank


def content_features(y: FloatArray, sr: int) -> Content:
    """Analyse a waveform of shape (n_samples,), float32, at `LEVEL`."""
    n_fft, hop = 4096, 1024
    semitones = band_spectrogram(y, n_fft, hop, _semitone_bank(n_fft, sr))
    bands = band_spectrogram(y, 1024, 256, erb_bank(40, 1024, sr))
    log_bands = np.log(bands + 1e-4)
    flux = np.maximum(log_bands[2:] - log_bands[:-2], 0).mean(axis=1)
    return Content(
        chroma=np.sqrt(semitones.reshape(len(semitones), 6, 12).sum(axis=1)),
        energy=semitones.sum(axis=1),
        log_semitones=np.log(semitones + 1e-2),
        onsets=np.pad(flux, 1),
        long_term_db=10 * np.log10(bands.mean(axis=0) + 1e-8),
    )


def chroma_similarity(a: Content, b: Content) -> float:
    """Return the cosine of centred chroma, frame by frame, weighted by the energy of `b`."""
    x, z = (c.chroma - c.chroma.mean(axis=1, keepdims=True) for c in (a, b))
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(z, axis=1) + 1e-9
    return float(np.average((x * z).sum(axis=1) / norms, weights=b.energy + 1e-12))


def _onset_times(envelope: FloatArray, sr: int) -> npt.NDArray[np.float64]:
    """Return local maxima over 70 ms that stand out from the surrounding 0.4 s."""
    is_peak = envelope == maximum_filter1d(envelope, 7)
    threshold = uniform_filter1d(envelope, 35) + 0.5 * envelope.std()
    times: npt.NDArray[np.float64] = np.flatnonzero(is_peak & (envelope > threshold)) * 256 / sr
    return times


def onset_f1(found: FloatArray, wanted: FloatArray, sr: int) -> float:
    """Return F1 of onsets within 50 ms, for two envelopes as in `Content`; 1 without onsets."""
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
