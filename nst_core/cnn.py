"""The genre classifier.

Few convolutions on purpose: what is wanted of it are the low layers, which hear
timbre (`nst_core.taps`). Compression is a layer of the network, so the data it is fed
stay linear power mel. In the ``1d`` kind frequency is the channel axis; in the ``2d``
kind it is an image axis.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_core.config import ClassifierConfig
from nst_core.mel import COMPRESSION
from nst_core.stft import FloatArray

NETWORK_VERSION = 2
"""Raised when the same weights in the same architecture would compute something else."""

INPUT_LAYER = "input"
GROUP_LAYER = "group"
POOL = 2
_VARIANCE_FLOOR = 1e-4
"""Under a root: its gradient must not be infinite where nothing varies."""
_NORM_MOMENTUM = 0.9
"""Keras' 0.99 needs hundreds of steps, and a small dataset gives tens."""


@keras.saving.register_keras_serializable(package="amnst")
class CompressedMel(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Linear power mel to log1p, as `nst_core.mel.compress` does."""

    def call(self, M: tf.Tensor) -> tf.Tensor:
        """Compress; shape (batch, n_frames, n_mels) in and out."""
        return tf.math.log1p(COMPRESSION * M)


def _grouped_shape(n_mels: int, size: int) -> tuple[int, int]:
    """Statistics of each group, mean and deviation or the bands themselves; and groups."""
    return 1 if size == 1 else 2, n_mels // size


def group_bands(x: tf.Tensor, size: int) -> tf.Tensor:
    """Mean and deviation over neighbouring bands: their level, and how peaky they are.

    Parameters
    ----------
    x : shape (batch, n_frames, n_mels), float32
    size
        Bands in a group; bands beyond the last whole group are left out.

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
    # Matrix products: a sum over an axis of 8 keeps no vector unit busy.
    mean = tf.linalg.matmul(x, members)
    variance = tf.nn.relu(tf.linalg.matmul(tf.square(x), members) - tf.square(mean))
    return tf.stack([mean, tf.sqrt(variance + _VARIANCE_FLOOR)], axis=2)


@keras.saving.register_keras_serializable(package="amnst")
class GroupedBands(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """`group_bands`, standardised by figures of the training data, saved with the weights."""

    def __init__(self, size: int, **options: str) -> None:
        super().__init__(**options)
        self.size = size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the statistics, shape (1 or 2, n_groups) each."""
        shape = _grouped_shape(input_shape[2] or 0, self.size)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(
            name="deviation", shape=shape, initializer="ones", trainable=False
        )

    def set_statistics(self, mean: FloatArray, deviation: FloatArray) -> None:
        """Set what is subtracted, and then divided by; shape (1 or 2, n_groups) each."""
        self.mean.assign(mean)
        self.deviation.assign(deviation)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shape (batch, n_frames, n_mels) to (batch, n_frames, 1 or 2, n_groups)."""
        return (group_bands(x, self.size) - self.mean) / self.deviation

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Groups and statistics are known, batch and frames need not be."""
        return (*input_shape[:2], *_grouped_shape(input_shape[2] or 0, self.size))


@keras.saving.register_keras_serializable(package="amnst")
class MeanAndDeviation(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Pool everything but batch and channels into the mean and the deviation."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shape (batch, ..., n_channels) to (batch, 2 n_channels)."""
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
        Of the initial weights and the dropout.

    Returns
    -------
    A model from power mel, shape (batch, n_frames, n_mels), float32, of signals at RMS
    0.1, to logits, shape (batch, n_classes). Any number of frames.
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(config.n_layers + 3))

    def initializer() -> keras.Initializer:
        return keras.initializers.GlorotUniform(seed=int(next(seeds)))

    # Every layer has a name: Keras's own count upwards within a process, and the weights'
    # file, and with it their sha256, would tell how many networks were built before.
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
    """Set what the grouped bands are standardised by.

    Parameters
    ----------
    network
        Made by `build_classifier`.
    M : shape (n_segments, n_frames, n_mels), >= 0
        A sample of what it will be trained on.
    """
    layer = network.get_layer(GROUP_LAYER)
    u = np.log1p(np.float32(COMPRESSION) * np.asarray(M, np.float32))
    groups = np.asarray(group_bands(u, layer.size))
    # An empty band that is a group of its own never moves, and must not be divided by zero.
    layer.set_statistics(groups.mean(axis=(0, 1)), groups.std(axis=(0, 1)) + np.float32(0.01))
