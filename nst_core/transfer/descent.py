"""Gradient descent on the compressed mel, as one compiled program.

Adam with a cosine decay keeps ``u`` non-negative. The best state is returned, so its loss
never exceeds the loss of the start.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_core.arrays import FloatArray
from nst_core.classifier.taps import FeatureTaps
from nst_core.config import TransferConfig
from nst_core.errors import SignalError
from nst_core.transfer.objective import Objective

_BETA_1, _BETA_2 = 0.9, 0.99
_EPSILON = 1e-20
"""Added to squared gradients, against division by zero."""
_WARM_UP_STEPS = 2
"""Adam's first step depends only on signs and moves every value by the full rate: on some pairs
the loss rose a hundredfold, and the other steps only undid this."""


@dataclass(frozen=True)
class Optimised:
    """Outcome of `optimise`.

    Attributes
    ----------
    u : shape (1, n_frames, n_mels), float32
        Best state.
    content_loss, style_loss : shape (n_iterations + 1,), float32
        Losses before each step and after the last; 1 at the other input, 0 at the goal.
    best_iteration
        Index of `u` in the losses.
    """

    u: FloatArray
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int


def _rate(i: tf.Tensor, n_iterations: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
    """Return the factor of one step of Adam: decay, bias corrections and warm-up."""
    step = tf.cast(i, tf.float32)
    decay = 0.5 * (1 + tf.cos(np.pi * step / tf.cast(n_iterations, tf.float32)))
    # Adam's two bias corrections, as one factor on the rate (Kingma & Ba 2015, 2).
    correction = tf.sqrt(1 - tf.pow(_BETA_2, step + 1)) / (1 - tf.pow(_BETA_1, step + 1))
    rate = learning_rate * decay * correction
    return rate * tf.minimum(1.0, (step + 1) / _WARM_UP_STEPS)


@lru_cache(maxsize=8)
def _compiled(objective: Objective) -> Any:
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
        """Return the best state, the losses of all states, and the best state's index and loss."""
        goals = objective.goals(u_music, u_looped, u_ambience)
        total_weight = content_weight + style_weight
        # A band that is silent in both inputs stays silent.
        is_seen = tf.cast(
            tf.reduce_max(u_music + u_looped, axis=(0, 1), keepdims=True) > 0, tf.float32
        )
        u, best_u = u_start, u_start
        momentum, energy = tf.zeros_like(u), tf.zeros_like(u)
        best = tf.constant(np.inf, tf.float32)
        best_iteration = tf.constant(0)
        history = tf.TensorArray(tf.float32, size=n_iterations + 1, element_shape=(2,))
        # One more pass than steps, to measure the last state as well.
        for i in tf.range(n_iterations + 1):
            with tf.GradientTape() as tape:
                tape.watch(u)
                content, style = objective.losses(u, goals)
                loss = (content_weight * content + style_weight * style) / total_weight
            history = history.write(i, tf.stack([content, style]))
            if loss < best:
                best, best_u, best_iteration = loss, u, i
            if i < n_iterations:
                gradient = tape.gradient(loss, u) * is_seen
                momentum += (1 - _BETA_1) * (gradient - momentum)
                energy += (1 - _BETA_2) * (tf.square(gradient) - energy)
                step = _rate(i, n_iterations, learning_rate) * momentum
                u = tf.nn.relu(u - step * tf.math.rsqrt(energy + _EPSILON))
        return best_u, history.stack(), best_iteration, best

    return descend


def compiled_descent(n_mels: int, taps: FeatureTaps, config: TransferConfig) -> Any:
    """Return the descent as a `tf.function`, compiled once per set of layers and statistics."""
    objective = Objective(
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
    """Move a compressed mel towards the ambience's style, and keep the music's content.

    Parameters
    ----------
    u_start, u_music, u_looped : shape (1, n_frames, n_mels), float32, >= 0
        Start, music, and the ambience at the music's length, of signals at `LEVEL`.
    u_ambience : shape (1, any, n_mels), float32, >= 0
        Whole ambience, which defines the style statistics.
    taps
        Layers of the classifier.
    config
        Layers, weights, rate and number of steps.

    Raises
    ------
    ConfigError
        A layer is not in the classifier.
    SignalError
        ``too_short`` for the longest of ``style_lags``; ``no_finite_loss`` at all steps.
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
            f"{name} has {u.shape[1]} frames, {n_frames} at the deepest style layer, but needs "
            f"more than the longest of style_lags ({longest}); use a longer clip",
            code="too_short",
        )
