"""The step from gains to band powers of the sound that results, and its gradient.

Gains scale the frames of a spectrum, the frames are added up to a waveform, and this is analysed
again. What is heard is therefore true: frames overlap and bands leak, so powers are not simply the
gains times the powers before. Both ways are linear in the waveform, so the gradient takes the same
two transforms once more.
"""

from dataclasses import dataclass, field

import numpy as np

from nst_core.arrays import ComplexArray, FloatArray
from nst_core.refine.frames import (
    Layout,
    analyse,
    back_to_waveform,
    correlate,
    padded_length,
    synthesise,
)
from nst_core.spectral.stft import frame_count, normalise_overlap

_FLOOR = np.float32(1e-9)
"""Added to every band power, far below any sound at `LEVEL`."""


@dataclass(frozen=True)
class Spectrum:
    """Spectrum of a carrier, shape (n_frames, n_bins), on which gains are tried."""

    layout: Layout
    D: ComplexArray
    n_samples: int
    _gains: FloatArray = field(repr=False)
    _heard: ComplexArray = field(repr=False)

    @classmethod
    def of(cls, y: FloatArray, layout: Layout) -> "Spectrum":
        """Analyse a waveform of shape (n_samples,)."""
        n_frames = frame_count(len(y), layout.hop_length)
        D = np.empty((n_frames, layout.n_fft // 2 + 1), np.complex64)
        padded = np.zeros(padded_length(n_frames, layout), np.float32)
        half = layout.n_fft // 2
        n_heard = min(len(y), len(padded) - half)
        padded[half : half + n_heard] = y[:n_heard]
        analyse(padded, layout, D)
        return cls(layout, D, len(y), np.empty(D.shape, np.float32), np.empty_like(D))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of frames, number of bands."""
        return len(self.D), self.layout.n_bands

    def waveform(self, gains: FloatArray) -> FloatArray:
        """Return the waveform after log power gains, shape (n_samples,)."""
        layout = self.layout
        y = synthesise(self.D, gains, layout, self._gains)[: -layout.hop_length]
        y /= layout.overlap_gain
        return normalise_overlap(y, layout.n_fft, layout.hop_length, self.n_samples)

    def powers(self, gains: FloatArray) -> FloatArray:
        """Return the band powers after log power gains, both of shape (n_frames, n_bands)."""
        y = synthesise(self.D, gains, self.layout, self._gains)
        powers = np.zeros((len(gains), self.layout.n_bands + 1), np.float32)
        analyse(y, self.layout, self._heard, powers)
        found: FloatArray = powers[:, :-1] + _FLOOR
        return found

    def gradient(self, of_powers: FloatArray) -> FloatArray:
        """Return the gradient with respect to the gains of the last `powers`.

        Parameters
        ----------
        of_powers : shape (n_frames, n_bands), float32
            Gradient with respect to the powers.
        """
        y = back_to_waveform(self._heard, of_powers, self.layout)
        found = np.zeros((len(of_powers), self.layout.n_bands + 1), np.float32)
        correlate(y, self.D, self._gains, self.layout, found)
        return np.ascontiguousarray(found[:, :-1])
