"""The genre classifier.

It has few convolutions on purpose: the transfer needs the low layers, which respond to timbre
(`nst_core.classifier.taps`). Compression is a layer of the network, so its input is a linear
power mel. In the ``1d`` kind, frequency is the channel axis; in the ``2d`` kind, it is an image
axis.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_core.arrays import FloatArray
from nst_core.config import ClassifierConfig
from nst_core.spectral.mel import COMPRESSION

NETWORK_VERSION = 2
"""Increased if the same weights in the same architecture would compute something else."""

INPUT_LAYER = "input"
GROUP_LAYER = "group"
POOL = 2
_VARIANCE_FLOOR = 1e-4
"""Added under a root, whose gradient would otherwise be infinite where nothing varies."""
_NORM_MOMENTUM = 0.9
"""Keras' default of 0.99 needs hundreds of steps, but a small dataset has only tens."""


@keras.saving.register_keras_serializable(package="amnst")
class CompressedMel(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Linear power mel to log1p, as `nst_core.spectral.mel.compress` does."""

    def call(self, M: tf.Tensor) -> tf.Tensor:
        """Compress; shape (batch, n_frames, n_mels) in and out."""
        return tf.math.log1p(COMPRESSION * M)


def _grouped_shape(n_mels: int, size: int) -> tuple[int, int]:
    """Return the number of statistics per group (mean and deviation, or the band), and groups."""
    return 1 if size == 1 else 2, n_mels // size


def group_bands(x: tf.Tensor, size: int) -> tf.Tensor:
    """Mean and deviation over neighbouring bands: their level, and how peaky they are.

    Parameters
    ----------
    x : shape (batch, n_frames, n_mels), float32
    size
        Bands per group; bands after the last complete group are left out.

    Returns
    -------
    shape (batch, n_frames, 2, n_mels // size), float32
        With groups of one band, that band alone: shape (batch, n_frames, 1, n_mels).
    """
    if size == 1:
        return x[:, :, None]
    n_groups = x.shape[2] // size
    members = np.zeros((x.shape[2], n_groups), np.float32)
    members[: n_groups * size] = np.kron(np.eye(n_groups), np.full((size, 1), 1 / size))
    # Use matrix products: a sum over an axis of 8 is too short to vectorise.
    mean = tf.linalg.matmul(x, members)
    variance = tf.nn.relu(tf.linalg.matmul(tf.square(x), members) - tf.square(mean))
    return tf.stack([mean, tf.sqrt(variance + _VARIANCE_FLOOR)], axis=2)


@keras.saving.register_keras_serializable(package="amnst")
class GroupedBands(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """`group_bands`, standardised with statistics of the training data, saved with the weights."""

    def __init__(self, size: int, **options: str) -> None:
        super().__init__(**options)
        self.size = size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the statistics, shape (1 or 2, n_groups) each."""
        shape = _grouped_shape(input_shape[2] or 0, self.size)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(
            name="deviation", shape=shape, initializer="ones", trainable=False
        )

    def set_statistics(self, mean: FloatArray, deviation: FloatArray) -> None:
        """Set mean and deviation, shape (1 or 2, n_groups) each."""
        self.mean.assign(mean)
        self.deviation.assign(deviation)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Map shape (batch, n_frames, n_mels) to (batch, n_frames, 1 or 2, n_groups)."""
        return (group_bands(x, self.size) - self.mean) / self.deviation

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape; batch and frames may be unknown."""
        return (*input_shape[:2], *_grouped_shape(input_shape[2] or 0, self.size))


@keras.saving.register_keras_serializable(package="amnst")
class MeanAndDeviation(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Pool all axes except batch and channels into mean and deviation."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Map shape (batch, ..., n_channels) to (batch, 2 n_channels)."""
        mean, variance = tf.nn.moments(x, axes=list(range(1, len(x.shape) - 1)))
        return tf.concat([mean, tf.sqrt(variance + _VARIANCE_FLOOR)], axis=-1)


def build_classifier(
    config: ClassifierConfig, *, n_mels: int, n_classes: int, seed: int = 0
) -> keras.Model:
    """Build an untrained classifier.

    Parameters
    ----------
    config
        Architecture.
    n_mels, n_classes
        Sizes of input and output.
    seed
        Seed of the initial weights and the dropout.

    Returns
    -------
    A model from power mel, shape (batch, n_frames, n_mels), float32, of signals at RMS
    0.1, to logits, shape (batch, n_classes). Any number of frames.
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(config.n_layers + 3))

    def initializer() -> keras.Initializer:
        return keras.initializers.GlorotUniform(seed=int(next(seeds)))

    # Every layer has a name. Keras's own names count upwards within a process, so the weights
    # file and its sha256 would depend on how many networks were built before.
    M = keras.Input((None, n_mels), name="mel")
    x = CompressedMel(name=INPUT_LAYER)(M)
    x = GroupedBands(config.band_group, name=GROUP_LAYER)(x)
    x = keras.layers.Reshape((-1, x.shape[2] * x.shape[3]), name="bands")(x)
    x = keras.layers.SpatialDropout1D(
        config.band_dropout, seed=int(next(seeds)), name="band_dropout"
    )(x)
    if config.kind == "2d":
        planes = (-1, *_grouped_shape(n_mels, config.band_group))
        x = keras.layers.Reshape(planes, name="planes")(x)
        x = keras.layers.Permute((1, 3, 2), name="image")(x)
    for number in range(1, config.n_layers + 1):
        if number > 1:
            x = _pool(config, f"pool{number - 1}")(x)
        x = _convolution(config, f"conv{number}", initializer())(x)
        x = keras.layers.BatchNormalization(momentum=_NORM_MOMENTUM, name=f"norm{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
    x = MeanAndDeviation(name="statistics")(x)
    x = keras.layers.Dropout(config.dropout, seed=int(next(seeds)), name="dropout")(x)
    logits = keras.layers.Dense(n_classes, kernel_initializer=initializer(), name="logits")(x)
    return keras.Model(M, logits, name=f"genre_classifier_{config.kind}")


def _convolution(
    config: ClassifierConfig, name: str, initializer: keras.Initializer
) -> keras.layers.Layer:
    kind = keras.layers.Conv1D if config.kind == "1d" else keras.layers.Conv2D
    return kind(
        config.n_filters,
        config.kernel_size,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )


def _pool(config: ClassifierConfig, name: str) -> keras.layers.Layer:
    kind = keras.layers.MaxPool1D if config.kind == "1d" else keras.layers.MaxPool2D
    return kind(POOL, padding="same", name=name)


def standardise_input(network: keras.Model, M: npt.NDArray[Any]) -> None:
    """Set the statistics with which the grouped bands are standardised.

    Parameters
    ----------
    network
        Made by `build_classifier`.
    M : shape (n_segments, n_frames, n_mels), >= 0
        Sample of the training data.
    """
    layer = network.get_layer(GROUP_LAYER)
    u = np.log1p(np.float32(COMPRESSION) * np.asarray(M, np.float32))
    groups = np.asarray(group_bands(u, layer.size))
    # An empty band that forms its own group is constant, and must not be divided by zero.
    layer.set_statistics(groups.mean(axis=(0, 1)), groups.std(axis=(0, 1)) + np.float32(0.01))
