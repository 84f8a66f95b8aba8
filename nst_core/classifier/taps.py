"""Low layers of the classifier, which define content and style in the transfer."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from nst_core.arrays import FloatArray
from nst_core.classifier.network import GROUP_LAYER, INPUT_LAYER, POOL, group_bands
from nst_core.errors import ConfigError

_TAP_BANDS = 12
"""Bands to which a tap of the 2-D kind reduces the frequency axis, so that a Gram matrix fits."""


@dataclass(frozen=True, eq=False)
class FeatureTaps:
    """Low layers of the classifier as plain arrays, with batch normalisation folded in.

    Attributes
    ----------
    band_group
        Number of neighbouring bands whose mean and deviation ``conv1`` sees.
    mean, deviation : shape (1 or 2, n_groups), float32
        Standardisation of these.
    kernels, biases
        Arrays of ``conv1``, ``conv2``, ...: kernels of shape (width, n_in, n_out), with one
        more leading axis in the 2-D kind.
    """

    band_group: int
    mean: FloatArray
    deviation: FloatArray
    kernels: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names that `features` accepts: ``input``, ``conv1``, ``conv2``, ..."""
        return (INPUT_LAYER, *(f"conv{i + 1}" for i in range(len(self.kernels))))

    def check_layers(self, names: Sequence[str]) -> None:
        """Raise `ConfigError` if a name is not a layer of this network."""
        for name in names:
            if name not in self.layer_names:
                raise ConfigError(
                    f"layer {name!r} is not in this classifier; "
                    f"it has {', '.join(self.layer_names)}"
                )

    def features(self, u: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Return activations after the rectifier.

        Parameters
        ----------
        u : shape (batch, n_frames, n_mels), float32
            Compressed mel, as from `nst_core.spectral.mel.compress`.
        names
            Some of `layer_names`; layers above the last of them are not computed.

        Returns
        -------
        Per name, shape (batch, n_frames / 2**depth, n_channels), float32.
        """
        found = {INPUT_LAYER: u}
        is_image = bool(self.kernels) and self.kernels[0].ndim == 4
        depth = max(self.layer_names.index(name) for name in names)
        x = (group_bands(u, self.band_group) - self.mean) / self.deviation
        if is_image:
            x = tf.transpose(x, (0, 1, 3, 2))
        else:
            x = tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1], x.shape[2] * x.shape[3]))
        for number, (kernel, bias) in enumerate(
            zip(self.kernels[:depth], self.biases[:depth], strict=True), start=1
        ):
            if number > 1:
                x = tf.nn.max_pool(x, POOL, POOL, "SAME")
            x = tf.nn.relu(tf.nn.convolution(x, kernel, padding="SAME") + bias)
            found[f"conv{number}"] = _flatten_bands(x) if is_image else x
        return {name: found[name] for name in names}


def _flatten_bands(x: tf.Tensor) -> tf.Tensor:
    """Turn image features into channels; average the frequency axis to a few separate bands."""
    width = max(1, x.shape[2] // _TAP_BANDS)
    x = tf.nn.avg_pool2d(x, (1, width), (1, width), "VALID")
    return tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1], x.shape[2] * x.shape[3]))


def feature_taps(model: keras.Model) -> FeatureTaps:
    """Return the low layers of a classifier that `build_classifier` made."""
    kernels, biases = [], []
    for layer in model.layers:
        if layer.name.startswith("conv"):
            norm = model.get_layer(layer.name.replace("conv", "norm"))
            scale = norm.gamma / np.sqrt(norm.moving_variance + norm.epsilon)
            kernels.append(np.asarray(layer.kernel * scale, np.float32))
            biases.append(np.asarray(norm.beta - norm.moving_mean * scale, np.float32))
    grouped = model.get_layer(GROUP_LAYER)
    return FeatureTaps(
        band_group=grouped.size,
        mean=np.asarray(grouped.mean, np.float32),
        deviation=np.asarray(grouped.deviation, np.float32),
        kernels=tuple(kernels),
        biases=tuple(biases),
    )
