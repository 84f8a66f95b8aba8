"""The loop: gradient descent on the compressed mel, as one compiled program.

Adam with a cosine decay, ``u`` kept non-negative, and the best state seen is what
comes out: the loss of what is returned never exceeds the loss of the start.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_core.cnn import INPUT_LAYER
from nst_core.config import TransferConfig
from nst_core.errors import SignalError
from nst_core.stft import FloatArray
from nst_core.style import (
    input_content,
    local_normalise,
    normalised_distance,
    peak_weights,
    squared_distance,
    style_statistics,
    whitening,
)
from nst_core.taps import FeatureTaps

_BETA_1, _BETA_2 = 0.9, 0.99
_EPSILON = 1e-20
"""Beside squared gradients."""
_WARM_UP_STEPS = 2
"""Adam's first step knows signs only and moves every value by the whole rate: on some pairs
the loss rose a hundredfold, and the other steps were spent on getting back."""


@dataclass(frozen=True)
class Optimised:
    """Outcome of `optimise`.

    Attributes
    ----------
    u : shape (1, n_frames, n_mels), float32
        The best state.
    content_loss, style_loss : shape (n_iterations + 1,), float32
        Before each step and after the last; 1 at the other input, 0 at the goal.
    best_iteration
        Index of `u` in the losses.
    """

    u: FloatArray
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int


@dataclass(frozen=True)
class _Objective:
    """Everything about the loss that is compiled in; the rest are arguments."""

    n_mels: int
    taps: FeatureTaps
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    local_norm_frames: int
    lags: tuple[int, ...]
    deviation_floor: float

    def content_terms(self, u: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
        terms = input_content(u, weights) if INPUT_LAYER in self.content_layers else []
        deeper = [name for name in self.content_layers if name != INPUT_LAYER]
        if deeper:
            terms += self.taps.features(u, deeper).values()
        return terms

    def style_features(self, u: tf.Tensor, band_means: tf.Tensor) -> list[tf.Tensor]:
        v = local_normalise(u, band_means, self.local_norm_frames)
        return list(self.taps.features(v, self.style_layers).values())

    def style_terms(
        self, features: list[tf.Tensor], whiteners: list[tuple[tf.Tensor, tf.Tensor]]
    ) -> list[tf.Tensor]:
        return [
            statistic
            for layer, (mean, deviation) in zip(features, whiteners, strict=True)
            for statistic in style_statistics(layer, mean, deviation, self.lags)
        ]


@lru_cache(maxsize=8)
def _compiled(objective: _Objective) -> Any:
    """Compile once per objective; lengths, weights, rate and step count are arguments."""
    spectrum = tf.TensorSpec((1, None, objective.n_mels), tf.float32)
    scalar = tf.TensorSpec((), tf.float32)
    count = tf.TensorSpec((), tf.int32)

    @tf.function(  # type: ignore[untyped-decorator]  # tensorflow is untyped
        input_signature=[spectrum, spectrum, spectrum, spectrum, scalar, scalar, scalar, count]
    )
    def descend(
        u_start: tf.Tensor,
        u_music: tf.Tensor,
        u_looped: tf.Tensor,
        u_ambience: tf.Tensor,
        content_weight: tf.Tensor,
        style_weight: tf.Tensor,
        learning_rate: tf.Tensor,
        n_iterations: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        weights = peak_weights(u_music)
        content_goals = objective.content_terms(u_music, weights)
        content_scales = [
            squared_distance(goal, other)
            for goal, other in zip(
                content_goals, objective.content_terms(u_looped, weights), strict=True
            )
        ]
        band_means = tf.reduce_mean(u_ambience, axis=1, keepdims=True)
        ambience_features = objective.style_features(u_ambience, band_means)
        whiteners = [whitening(layer, objective.deviation_floor) for layer in ambience_features]
        style_goals = objective.style_terms(ambience_features, whiteners)
        style_scales = [
            squared_distance(goal, other)
            for goal, other in zip(
                style_goals,
                objective.style_terms(objective.style_features(u_music, band_means), whiteners),
                strict=True,
            )
        ]
        total_weight = content_weight + style_weight
        is_seen = tf.cast(
            tf.reduce_max(u_music + u_looped, axis=(0, 1), keepdims=True) > 0, tf.float32
        )

        def losses(u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            content = normalised_distance(
                objective.content_terms(u, weights), content_goals, content_scales
            )
            statistics = objective.style_terms(objective.style_features(u, band_means), whiteners)
            style = normalised_distance(statistics, style_goals, style_scales)
            return tf.reduce_sum(content), tf.reduce_sum(style)

        u, best_u = u_start, u_start
        momentum, energy = tf.zeros_like(u), tf.zeros_like(u)
        best = tf.constant(np.inf, tf.float32)
        best_iteration = tf.constant(0)
        history = tf.TensorArray(tf.float32, size=n_iterations + 1, element_shape=(2,))
        for i in tf.range(n_iterations + 1):
            with tf.GradientTape() as tape:
                tape.watch(u)
                content, style = losses(u)
                loss = (content_weight * content + style_weight * style) / total_weight
            history = history.write(i, tf.stack([content, style]))
            if loss < best:
                best, best_u, best_iteration = loss, u, i
            if i < n_iterations:
                step = tf.cast(i, tf.float32)
                gradient = tape.gradient(loss, u) * is_seen
                momentum += (1 - _BETA_1) * (gradient - momentum)
                energy += (1 - _BETA_2) * (tf.square(gradient) - energy)
                decay = 0.5 * (1 + tf.cos(np.pi * step / tf.cast(n_iterations, tf.float32)))
                # Adam's two bias corrections, as one factor on the rate (Kingma & Ba 2015, 2).
                correction = tf.sqrt(1 - tf.pow(_BETA_2, step + 1)) / (
                    1 - tf.pow(_BETA_1, step + 1)
                )
                rate = learning_rate * decay * correction
                rate *= tf.minimum(1.0, (step + 1) / _WARM_UP_STEPS)
                u = tf.nn.relu(u - rate * momentum * tf.math.rsqrt(energy + _EPSILON))
        return best_u, history.stack(), best_iteration, best

    return descend


def compiled_descent(n_mels: int, taps: FeatureTaps, config: TransferConfig) -> Any:
    """The loop as one `tf.function`, compiled once per set of layers and statistics."""
    objective = _Objective(
        n_mels,
        taps,
        config.content_layers,
        config.style_layers,
        config.local_norm_frames,
        config.style_lags,
        config.deviation_floor,
    )
    return _compiled(objective)


def optimise(
    u_start: FloatArray,
    u_music: FloatArray,
    u_looped: FloatArray,
    u_ambience: FloatArray,
    taps: FeatureTaps,
    config: TransferConfig,
) -> Optimised:
    """Move a compressed mel towards the ambience's style, holding the music's content.

    Parameters
    ----------
    u_start, u_music, u_looped : shape (1, n_frames, n_mels), float32, >= 0
        Start, music, and the ambience at the music's length, of signals at `LEVEL`.
    u_ambience : shape (1, any, n_mels), float32, >= 0
        The whole ambience, from which the style statistics are taken.
    taps
        Layers of the classifier.
    config
        Layers, weights, rate and number of steps.

    Raises
    ------
    ConfigError
        If a layer is not in the classifier.
    SignalError
        ``too_short`` for the longest of ``style_lags``; ``no_finite_loss`` at any step.
    """
    taps.check_layers((*config.content_layers, *config.style_layers))
    _check_length("music", u_music, taps, config)
    _check_length("ambience", u_ambience, taps, config)
    best_u, history, best_iteration, best = compiled_descent(u_music.shape[2], taps, config)(
        u_start,
        u_music,
        u_looped,
        u_ambience,
        config.content_weight,
        config.style_weight,
        config.learning_rate,
        config.n_iterations,
    )
    losses: npt.NDArray[np.float32] = history.numpy()
    if not np.isfinite(best.numpy()):
        raise SignalError(
            "the transfer's loss is not finite at any step; the music or the ambience is "
            "too quiet or too uniform to be compared",
            code="no_finite_loss",
        )
    return Optimised(best_u.numpy(), losses[:, 0], losses[:, 1], int(best_iteration))


def _check_length(name: str, u: FloatArray, taps: FeatureTaps, config: TransferConfig) -> None:
    depth = max(taps.layer_names.index(layer) for layer in config.style_layers)
    n_frames = -(-u.shape[1] // 2 ** max(depth - 1, 0))
    longest = max(config.style_lags, default=0)
    if n_frames <= longest:
        raise SignalError(
            f"{name} has {u.shape[1]} frames, {n_frames} at the deepest style layer; more than "
            f"the longest of style_lags ({longest}) are needed; use a longer clip",
            code="too_short",
        )
