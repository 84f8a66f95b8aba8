"""The loss that gains are descended on, and its gradient in closed form.

It has five parts: the grain's statistics (to the ambience's), the onsets and the slow envelope of
every band (to the music's), the long-term spectrum (to the carrier's own, which has the wanted
equalisation) and the size of the gains. The first three are 0 at their goals and 1 at the other
input, so a weight means the same for every pair.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve1d

from nst_core.arrays import FloatArray
from nst_core.config import RefineConfig
from nst_core.refine.envelope import Envelope
from nst_core.refine.frames import Layout
from nst_core.refine.grain import Grain, GrainKind
from nst_core.refine.onsets import Onsets, Rises
from nst_core.refine.spectrum import Spectrum
from nst_core.refine.statistics import Measure, Statistics, Whitening
from nst_core.runtime.threads import side_by_side
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank

_BEFORE_S, _AFTER_S = 0.005, 0.020
"""Half widths of the music's envelope: it may fade like a room, but hardly rise before an
attack."""
_ENVELOPE_FLOOR = np.float32(3e-3)
_HEARD, _LOUD = 0.02, 0.95
"""The music sounds in frames above this share of this quantile of its level."""
_TINY = np.float32(1e-9)


@dataclass(frozen=True)
class _GrainGoal:
    """One grain: how to measure it, what its statistics should be, and the weight of each."""

    kind: GrainKind
    measure: Measure
    statistics: Statistics
    weights: FloatArray


@dataclass(frozen=True)
class Texture:
    """Grain of an ambience, measured once for all music: per kind, its whitening and statistics."""

    kinds: tuple[GrainKind, ...]
    whitenings: tuple[Whitening, ...]
    statistics: tuple[Statistics, ...]
    powers: FloatArray

    @classmethod
    def of(cls, ambience: FloatArray, sr: int, config: RefineConfig) -> "Texture":
        """Measure an ambience of shape (n_samples,)."""
        powers, kinds = _band_powers(ambience, sr, config), _kinds(sr, config)
        heard = np.ones(len(powers), bool)
        whitenings, statistics = [], []
        for kind in kinds:
            grain = Grain.of(powers, kind).values
            whitenings.append(Whitening.of(grain))
            measure = _measure(whitenings[-1], heard, config)
            statistics.append(measure.statistics(grain)[0])
        return cls(kinds, tuple(whitenings), tuple(statistics), powers)


@dataclass(frozen=True)
class Value:
    """Loss of gains: in total, and its parts without their weights."""

    total: float
    style: float
    content: float


@dataclass(frozen=True)
class Loss:
    """Loss of log power gains, shape (n_frames, n_bands), on one carrier's spectrum."""

    spectrum: Spectrum
    config: RefineConfig
    grains: tuple[_GrainGoal, ...]
    inverse_envelopes: tuple[FloatArray | None, ...]
    onsets: Onsets
    onset_weights: tuple[float, float]
    mean_powers: FloatArray
    envelope: FloatArray
    envelope_weight: float
    envelope_frames: int

    @classmethod
    def of(
        cls,
        carrier: FloatArray,
        music: FloatArray,
        texture: Texture,
        sr: int,
        config: RefineConfig,
    ) -> "Loss":
        """Prepare the loss for a carrier and music of shape (n_samples,), both at `LEVEL`."""
        layout = Layout.of(config.n_fft, config.hop_length, config.n_bands, sr)
        spectrum = Spectrum.of(carrier, layout)
        of_music = _band_powers(music, sr, config)
        envelope = _attack_keeping(of_music, sr, config)
        heard = _heard(envelope)
        inverse = 1 / (envelope + _ENVELOPE_FLOOR * envelope.mean(axis=0) + _TINY)
        inverses = (inverse.astype(np.float32), None)
        goals = []
        for kind, whitening, statistics, divisor in zip(
            texture.kinds, texture.whitenings, texture.statistics, inverses, strict=True
        ):
            measure = _measure(whitening, heard, config)
            grain = Grain.of(of_music, kind, divisor).values
            scales = measure.statistics(grain)[0].distances(statistics)
            weights = 1 / ((scales + _TINY) * len(scales) * len(texture.kinds))
            goals.append(_GrainGoal(kind, measure, statistics, weights.astype(np.float32)))
        onsets = Rises.of(of_music).onsets
        looped = np.resize(texture.powers, of_music.shape)
        of_groups, of_total = onsets.distances(Rises.of(looped).onsets)
        n_slow = round(config.envelope_s * sr / config.hop_length) | 1
        slow = Envelope.of(of_music, n_slow).values
        apart = np.square(slow - Envelope.of(looped, n_slow).values).sum(dtype=np.float64)
        return cls(
            spectrum,
            config,
            tuple(goals),
            inverses,
            onsets,
            (0.5 / (of_groups + 1e-9), 0.5 / (of_total + 1e-9)),
            _band_powers(carrier, sr, config).mean(axis=0) + _TINY,
            slow,
            1 / (float(apart) + 1e-9),
            n_slow,
        )

    def value_and_gradient(self, gains: FloatArray) -> tuple[Value, FloatArray]:
        """Return the loss of gains, and its gradient with respect to them."""
        powers = self.spectrum.powers(gains)
        found = side_by_side(
            [
                *(partial(self._style, powers, i) for i in range(len(self.grains))),
                partial(self._content_and_level, powers),
                partial(self._envelope, powers),
            ]
        )
        *of_grains, (content, of_content, level, of_level), (envelope, of_envelope) = found
        style = sum(each for each, _ in of_grains)
        of_powers = of_content
        for _, of_grain in of_grains:
            of_powers += of_grain
        of_powers += of_level
        of_powers += of_envelope
        gradient = self.spectrum.gradient(of_powers)
        size = self.config.gain_weight / gains.size
        gradient += np.float32(2 * size) * gains
        config = self.config
        total = config.style_weight * style + config.content_weight * content
        total += config.envelope_weight * envelope
        total += config.level_weight * level + size * float(np.square(gains).sum(dtype=np.float64))
        return Value(total, style, content), gradient

    def _style(self, powers: FloatArray, i: int) -> tuple[float, FloatArray]:
        """Return one grain's part of the style loss, and its weighted gradient."""
        goal = self.grains[i]
        grain = Grain.of(powers, goal.kind, self.inverse_envelopes[i])
        found, centred = goal.measure.statistics(grain.values)
        loss = float(goal.weights @ found.distances(goal.statistics))
        slopes = np.float32(2 * self.config.style_weight) * goal.weights
        of_statistics = Statistics(
            slopes[:-1, None] * (found.rows - goal.statistics.rows),
            slopes[-1] * (found.covariance - goal.statistics.covariance),
        )
        return loss, grain.gradient(goal.measure.gradient(centred, of_statistics))

    def _envelope(self, powers: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss of the slow envelope and its weighted gradient."""
        slow = Envelope.of(powers, self.envelope_frames)
        moved = slow.values - self.envelope
        loss = self.envelope_weight * float(np.square(moved).sum(dtype=np.float64))
        moved *= np.float32(2 * self.config.envelope_weight * self.envelope_weight)
        return loss, slow.gradient(moved)

    def _content_and_level(self, powers: FloatArray) -> tuple[float, FloatArray, float, FloatArray]:
        """Return content and level loss with their weighted gradients; that of level per band."""
        rises = Rises.of(powers)
        found, goal = rises.onsets, self.onsets
        distances = found.distances(goal)
        content = sum(w * d for w, d in zip(self.onset_weights, distances, strict=True))
        of_groups, of_total = (
            np.float32(2 * self.config.content_weight * w) for w in self.onset_weights
        )
        of_onsets = Onsets(
            of_groups * (found.groups - goal.groups), of_total * (found.total - goal.total)
        )
        means = powers.mean(axis=0)
        moved = np.log(means / self.mean_powers)
        level = float(np.square(moved).mean())
        of_means = np.float32(2 * self.config.level_weight / powers.size) * moved / means
        return content, rises.gradient(of_onsets), level, of_means


def _measure(whitening: Whitening, heard: npt.NDArray[np.bool_], config: RefineConfig) -> Measure:
    lags, tails = np.array(config.lags, np.int64), np.array(config.tails, np.float32)
    return Measure(whitening, heard, lags, tails)


def _band_powers(y: FloatArray, sr: int, config: RefineConfig) -> FloatArray:
    bank = erb_bank(config.n_bands, config.n_fft, sr)
    return band_spectrogram(y, config.n_fft, config.hop_length, bank) + _TINY


def _kinds(sr: int, config: RefineConfig) -> tuple[GrainKind, ...]:
    rate = sr / config.hop_length
    under_music, under_itself = (
        round(seconds * rate) | 1 for seconds in (config.slow_s, config.own_s)
    )
    return GrainKind(under_music, 1), GrainKind(under_itself, 2)


def _attack_keeping(powers: FloatArray, sr: int, config: RefineConfig) -> FloatArray:
    """Smooth along time by a Gaussian that is narrow before an event and wide after it."""
    before, after = (s * sr / config.hop_length for s in (_BEFORE_S, _AFTER_S))
    lag = np.arange(-round(4 * after), round(4 * after) + 1)
    kernel = np.exp(-0.5 * np.square(lag / np.where(lag < 0, before, after)))
    smooth: FloatArray = convolve1d(powers, kernel / kernel.sum(), axis=0, mode="nearest")
    return smooth


def _heard(envelope: FloatArray) -> npt.NDArray[np.bool_]:
    totals = envelope.sum(axis=1)
    return np.asarray(totals >= _HEARD * np.quantile(totals, _LOUD))
