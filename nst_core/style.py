"""What is taken and what is kept: style statistics, content terms, their losses.

Everything works on the compressed mel ``u = log1p(1e4 M)`` of signals at RMS 0.1,
TensorFlow axes ``(batch, n_frames, n_mels)``. Each loss is divided by its value at
the input that knows nothing of it, so that it is 1 there and 0 at its goal, and one
weight means the same for every pair.
"""

from collections.abc import Sequence

import tensorflow as tf

_FINE_BANDS = 33
"""Bands over which fine structure is told from the spectral envelope."""
_SLOW_FRAMES = 5
_FLUX_FRAMES = 2
_TINY = 1e-9


def moving_mean(x: tf.Tensor, n_frames: int) -> tf.Tensor:
    """Mean over a centred window along axis 1; at the edges over what is there."""
    return tf.nn.avg_pool1d(x, n_frames, 1, "SAME")


def local_normalise(u: tf.Tensor, band_means: tf.Tensor, n_frames: int) -> tf.Tensor:
    """Replace the slow part of each band by the ambience's mean.

    Style sees the grain only; without this the optimiser adds ambience that does not
    follow the music.

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
    """Mean and deviation over time, each of shape (batch, 1, n_channels).

    Parameters
    ----------
    features : shape (batch, n_frames, n_channels), float32
    floor
        Lower bound of a deviation, as a share of the mean deviation: a channel that
        hardly moves must not be blown up to the size of the others.
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
    features : shape (batch, n_frames, n_channels), float32
    mean, deviation : shape (batch, 1, n_channels), float32
        The ambience's, from `whitening`.
    lags
        Frames.

    Returns
    -------
    Tensors of shape (batch, ...), none with a time axis.
    """
    whitened = (features - mean) / deviation
    average = tf.reduce_mean(whitened, axis=1)
    centred = whitened - average[:, None]
    n_channels = tf.cast(tf.shape(features)[-1], features.dtype)
    return [
        average,
        tf.reduce_mean(tf.square(centred), axis=1),
        tf.reduce_mean(tf.square(tf.nn.relu(centred)), axis=1),
        gram_matrix(centred) / tf.sqrt(n_channels),
        *(tf.reduce_mean(centred[:, :-lag] * centred[:, lag:], axis=1) for lag in lags),
    ]


def fine_structure(u: tf.Tensor) -> tf.Tensor:
    """Partials without the envelope above them: free of any equalisation.

    Returns
    -------
    shape (batch, n_frames, n_mels), float32
        `u` minus its moving mean over 33 bands.
    """
    over_bands = tf.nn.avg_pool1d(tf.transpose(u, (0, 2, 1)), _FINE_BANDS, 1, "SAME")
    return u - tf.transpose(over_bands, (0, 2, 1))


def peak_weights(u_music: tf.Tensor) -> tf.Tensor:
    """Root weights that make the fine structure count where the music has its partials."""
    peaks = tf.nn.relu(fine_structure(u_music))
    return tf.sqrt(peaks / (tf.reduce_mean(peaks, axis=(1, 2), keepdims=True) + 1e-6))


def onset_flux(u: tf.Tensor) -> tf.Tensor:
    """Positive two-frame difference averaged over bands, shape (batch, n_frames - 2, 1)."""
    rise = tf.nn.relu(u[:, _FLUX_FRAMES:] - u[:, :-_FLUX_FRAMES])
    return tf.reduce_mean(rise, axis=2, keepdims=True)


def input_content(u: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
    """Content at the ``input`` layer: weighted, slowed fine structure, and onsets."""
    return [moving_mean(fine_structure(u), _SLOW_FRAMES) * weights, onset_flux(u)]


def squared_distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Sum of squared differences over all axes but the first, shape (batch,)."""
    difference = tf.square(first - second)
    return tf.reduce_sum(tf.reshape(difference, (tf.shape(difference)[0], -1)), axis=1)


def normalised_distance(
    values: Sequence[tf.Tensor], goals: Sequence[tf.Tensor], scales: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Mean over terms of the squared distance to the goal, over the reference distance.

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
