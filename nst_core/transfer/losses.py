"""Style statistics, content terms and their losses.

Everything works on the compressed mel ``u = log1p(1e4 M)`` of signals at `LEVEL`, with
TensorFlow's axes ``(batch, n_frames, n_mels)``. Each loss is divided by its value at the
other input, so it is 1 there and 0 at its goal, and a weight means the same for every pair.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from nst_core.arrays import FloatArray

_GROUP_BANDS = 8
"""Bands per group; the group means form the spectral envelope and the onsets."""
_ENVELOPE_KERNEL = (0.125, 0.25, 0.25, 0.25, 0.125)
"""Smoothing of the envelope over groups: 32 bands."""
_SLOW_FRAMES = 5
_FLUX_FRAMES = 2
_TINY = 1e-9


def moving_mean(x: tf.Tensor, n_frames: int) -> tf.Tensor:
    """Mean over a centred window along axis 1; at the edges, over the part inside.

    The window's length is odd. The gradient is also computed as a moving mean, which is faster
    than TensorFlow's own.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # tensorflow is untyped
    def mean(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(g: tf.Tensor) -> tf.Tensor:
            last, half = tf.shape(x)[1] - 1, n_frames // 2
            t = tf.range(last + 1)
            n_seen = 1 + tf.minimum(t + half, last) - tf.maximum(t - half, 0)
            n_seen = tf.cast(n_seen, x.dtype)[None, :, None]
            return tf.nn.avg_pool1d(g / n_seen, n_frames, 1, "SAME") * n_seen

        return tf.nn.avg_pool1d(x, n_frames, 1, "SAME"), gradient

    return mean(x)


def local_normalise(u: tf.Tensor, band_means: tf.Tensor, n_frames: int) -> tf.Tensor:
    """Replace the slow part of each band by the ambience's mean.

    Style then depends only on the grain; without this, the optimiser adds ambience that does
    not follow the music.

    Parameters
    ----------
    u : shape (batch, n_frames, n_mels), float32
    band_means : shape (batch, 1, n_mels), float32
    n_frames
        Window of the moving mean.
    """
    return u - moving_mean(u, n_frames) + band_means


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """Time-averaged channel correlations of one layer: the classic style statistic.

    Parameters
    ----------
    features : shape (batch, n_frames, n_channels), float32
        Activations; no assumption on sign or scale.

    Returns
    -------
    shape (batch, n_channels, n_channels), float32
        Symmetric, positive semi-definite. Divided by ``n_frames``, so clips of
        different length are comparable.

    References
    ----------
    Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural
    Networks", CVPR 2016, eq. 3. They do not divide by the number of positions.
    """
    n_frames = tf.cast(tf.shape(features)[1], features.dtype)
    return tf.linalg.matmul(features, features, transpose_a=True) / n_frames


def whitening(features: tf.Tensor, floor: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and deviation over time, each of shape (batch, 1, n_channels).

    Parameters
    ----------
    features : shape (batch, n_frames, n_channels), float32
    floor
        Lower bound of a deviation, as a share of the mean deviation: a nearly constant channel
        must not be amplified to the size of the others.
    """
    mean, variance = tf.nn.moments(features, axes=[1], keepdims=True)
    deviation = tf.sqrt(variance)
    return mean, tf.maximum(
        deviation, floor * tf.reduce_mean(deviation, axis=-1, keepdims=True) + _TINY
    )


def style_statistics(
    features: tf.Tensor, mean: tf.Tensor, deviation: tf.Tensor, lags: Sequence[int]
) -> list[tf.Tensor]:
    """Texture statistics of one layer.

    Mean, variance, one-sided variance, Gram matrix and lag products, after McDermott
    and Simoncelli ("Sound Texture Perception via Statistics of the Auditory Periphery",
    Neuron 2011) on whitened features instead of cochlear envelopes.

    Parameters
    ----------
    features : shape (1, n_frames, n_channels), float32
    mean, deviation : shape (1, 1, n_channels), float32
        Mean and deviation of the ambience, from `whitening`.
    lags
        Frames, each 1 or more.

    Returns
    -------
    Tensors of shape (1, ...), none with a time axis.
    """
    statistics: list[tf.Tensor] = _statistics(tuple(lags))((features - mean) / deviation)
    return statistics


@lru_cache(maxsize=8)
def _statistics(lags: tuple[int, ...]) -> Any:
    """Return `style_statistics` of whitened features, with a gradient of few passes over them.

    TensorFlow's own gradient makes eight padded copies per lag. In closed form, the parts of the
    variance and of all lags are one symmetric filter along time, with taps per channel.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # tensorflow is untyped
    def statistics(whitened: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
        average = tf.reduce_mean(whitened, axis=1)
        centred = whitened - average[:, None]
        positive = tf.nn.relu(centred)
        n_frames = tf.cast(tf.shape(whitened)[1], whitened.dtype)
        scale = tf.sqrt(tf.cast(tf.shape(whitened)[2], whitened.dtype))

        def gradient(
            g_average: tf.Tensor,
            g_variance: tf.Tensor,
            g_positive: tf.Tensor,
            g_gram: tf.Tensor,
            *g_lags: tf.Tensor,
        ) -> tf.Tensor:
            both_ways = (g_gram + tf.linalg.matrix_transpose(g_gram)) / (n_frames * scale)
            total = tf.linalg.matmul(centred, both_ways)
            total += positive * (2 * g_positive / n_frames)[:, None]
            products = {0: 2 * g_variance / n_frames}
            products |= {k: g / (n_frames - k) for k, g in zip(lags, g_lags, strict=True)}
            total += _symmetric_filter(centred, products)
            total -= tf.reduce_mean(total, axis=1, keepdims=True)
            return total + (g_average / n_frames)[:, None]

        found = [
            average,
            tf.reduce_mean(tf.square(centred), axis=1),
            tf.reduce_mean(tf.square(positive), axis=1),
            gram_matrix(centred) / scale,
            *(tf.reduce_mean(centred[:, :-lag] * centred[:, lag:], axis=1) for lag in lags),
        ]
        return found, gradient

    return statistics


def _symmetric_filter(x: tf.Tensor, taps: dict[int, tf.Tensor]) -> tf.Tensor:
    """Return the sum of `x` shifted by each lag in both directions, weighted per channel.

    Parameters
    ----------
    x : shape (1, n_frames, n_channels)
        Counts as zero beyond its ends.
    taps
        Weights of each lag, shape (1, n_channels); lag 0 counts once.
    """
    longest = max(taps)
    zero = tf.zeros_like(taps[0])
    kernel = tf.stack([taps.get(abs(k), zero)[0] for k in range(-longest, longest + 1)])
    filtered = tf.nn.depthwise_conv2d(x[:, :, None], kernel[:, None, :, None], (1, 1, 1, 1), "SAME")
    return filtered[:, :, 0]


@lru_cache(maxsize=8)
def _group_matrices(n_mels: int) -> tuple[FloatArray, FloatArray]:
    """Return matrices from bands to group means, and from group means to an envelope over bands.

    Returns
    -------
    shape (n_mels, n_groups) and (n_groups, n_mels), float32
        The second smooths over groups and interpolates linearly between their centres.
    """
    group = np.arange(n_mels) // _GROUP_BANDS
    members = np.eye(group[-1] + 1)[group]
    members /= members.sum(axis=0)
    centres = members.T @ np.arange(n_mels)
    half = len(_ENVELOPE_KERNEL) // 2
    n_groups = len(centres)
    nearby = np.arange(n_groups)[:, None] + np.arange(-half, half + 1)
    smooth = np.zeros((n_groups, n_groups))
    np.add.at(
        smooth,
        (np.clip(nearby, 0, n_groups - 1), np.arange(n_groups)[:, None]),
        _ENVELOPE_KERNEL,
    )
    hats = np.stack([np.interp(np.arange(n_mels), centres, hat) for hat in np.eye(n_groups)])
    return members.astype(np.float32), (smooth @ hats).astype(np.float32)


def group_means(u: tf.Tensor) -> tf.Tensor:
    """Means over groups of 8 bands, shape (batch, n_frames, n_groups)."""
    return tf.linalg.matmul(u, _group_matrices(u.shape[2])[0])


def fine_structure(u: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
    """Partials without their envelope, so that equalisation has no effect.

    Parameters
    ----------
    u : shape (batch, n_frames, n_mels), float32
    groups
        `group_means` of `u`.

    Returns
    -------
    shape (batch, n_frames, n_mels), float32
        `u` minus its envelope, a mean over 32 bands.
    """
    return u - tf.linalg.matmul(groups, _group_matrices(u.shape[2])[1])


def peak_weights(u_music: tf.Tensor) -> tf.Tensor:
    """Roots of the fine structure's weights, which are high where the music has partials."""
    peaks = tf.nn.relu(fine_structure(u_music, group_means(u_music)))
    return tf.sqrt(peaks / (tf.reduce_mean(peaks, axis=(1, 2), keepdims=True) + 1e-6))


def onset_flux(groups: tf.Tensor) -> tf.Tensor:
    """Positive two-frame difference of each group, shape (batch, n_frames - 2, n_groups)."""
    return tf.nn.relu(groups[:, _FLUX_FRAMES:] - groups[:, :-_FLUX_FRAMES])


def input_content(u: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
    """Content at the ``input`` layer: weighted and smoothed fine structure, and onsets."""
    groups = group_means(u)
    slowed = moving_mean(fine_structure(u, groups), _SLOW_FRAMES)
    return [slowed * weights, onset_flux(groups)]


def squared_distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Sum of squared differences over all axes but the first, shape (batch,)."""
    difference = tf.square(first - second)
    return tf.reduce_sum(tf.reshape(difference, (tf.shape(difference)[0], -1)), axis=1)


def normalised_distance(
    values: Sequence[tf.Tensor], goals: Sequence[tf.Tensor], scales: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Mean over terms of the squared distance to the goal, divided by the reference distance.

    Parameters
    ----------
    values, goals
        One tensor of shape (batch, ...) per term.
    scales
        `squared_distance` of each term between its goal and the other input, shape (batch,).
    """
    ratios = [
        squared_distance(value, goal) / (scale + _TINY)
        for value, goal, scale in zip(values, goals, scales, strict=True)
    ]
    return tf.add_n(ratios) / len(ratios)
