"""Objective of the descent: distances to the music's content and the ambience's style.

TensorFlow traces everything here as a part of the loop in `nst_core.transfer.descent`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from nst_core.classifier.network import INPUT_LAYER
from nst_core.classifier.taps import FeatureTaps
from nst_core.transfer.losses import (
    input_content,
    local_normalise,
    normalised_distance,
    peak_weights,
    squared_distance,
    style_statistics,
    whitening,
)


class Goals(NamedTuple):
    """Targets of one pair, and the distances at which a loss is 1."""

    weights: tf.Tensor
    content: list[tf.Tensor]
    content_scales: list[tf.Tensor]
    band_means: tf.Tensor
    whiteners: list[tuple[tf.Tensor, tf.Tensor]]
    style: list[tf.Tensor]
    style_scales: list[tf.Tensor]


@dataclass(frozen=True)
class Objective:
    """Parts of the loss that are compiled in; all others are arguments of the loop."""

    n_mels: int
    taps: FeatureTaps
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    local_norm_frames: int
    lags: tuple[int, ...]
    deviation_floor: float

    def goals(self, u_music: tf.Tensor, u_looped: tf.Tensor, u_ambience: tf.Tensor) -> Goals:
        """Measure the music's content and the ambience's style.

        The content scale is the distance of the looped ambience, the style scale that of the music.
        """
        weights = peak_weights(u_music)
        content = self._content_terms(u_music, weights)
        content_scales = _distances(content, self._content_terms(u_looped, weights))
        band_means = tf.reduce_mean(u_ambience, axis=1, keepdims=True)
        ambience_features = self._style_features(u_ambience, band_means)
        whiteners = [whitening(layer, self.deviation_floor) for layer in ambience_features]
        style = self._style_terms(ambience_features, whiteners)
        music_features = self._style_features(u_music, band_means)
        style_scales = _distances(style, self._style_terms(music_features, whiteners))
        return Goals(weights, content, content_scales, band_means, whiteners, style, style_scales)

    def losses(self, u: tf.Tensor, goals: Goals) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the content loss and the style loss of a state."""
        content = normalised_distance(
            self._content_terms(u, goals.weights), goals.content, goals.content_scales
        )
        features = self._style_features(u, goals.band_means)
        style = normalised_distance(
            self._style_terms(features, goals.whiteners), goals.style, goals.style_scales
        )
        return tf.reduce_sum(content), tf.reduce_sum(style)

    def _content_terms(self, u: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
        terms = input_content(u, weights) if INPUT_LAYER in self.content_layers else []
        deeper = [name for name in self.content_layers if name != INPUT_LAYER]
        if deeper:
            terms += self.taps.features(u, deeper).values()
        return terms

    def _style_features(self, u: tf.Tensor, band_means: tf.Tensor) -> list[tf.Tensor]:
        v = local_normalise(u, band_means, self.local_norm_frames)
        return list(self.taps.features(v, self.style_layers).values())

    def _style_terms(
        self, features: list[tf.Tensor], whiteners: list[tuple[tf.Tensor, tf.Tensor]]
    ) -> list[tf.Tensor]:
        return [
            statistic
            for layer, (mean, deviation) in zip(features, whiteners, strict=True)
            for statistic in style_statistics(layer, mean, deviation, self.lags)
        ]


def _distances(goals: list[tf.Tensor], others: list[tf.Tensor]) -> list[tf.Tensor]:
    return [squared_distance(goal, other) for goal, other in zip(goals, others, strict=True)]
