"""Two peers of a transfer; the cheats are in `nst_core.metrics.controls` and `tests.cheats`.

Each takes and returns waveforms of shape (n_samples,), float32, at RMS 0.1.
"""

import numpy as np
from scipy.optimize import fmin_l_bfgs_b

from nst_core.audio.loudness import set_rms
from nst_core.spectral.stft import stft


def ulyanov(music, ambience, sr, *, n_filters=4096, n_iterations=40):
    """Random 1-D net on log magnitudes, Gram of one layer, L-BFGS (Ulyanov & Lebedev 2016).

    Their window of 2048, 4096 filters of 11 frames, content weight 1e-2 and small random
    start; 40 iterations in place of 300.
    """
    del sr
    import librosa  # a second, and only this peer needs it
    import tensorflow as tf  # after the threads are set

    x_music, x_ambience = (np.log1p(np.abs(stft(y, 2048, 512)))[None] for y in (music, ambience))
    shape, rng = x_music.shape, np.random.default_rng(0)
    deviation = np.sqrt(2) * np.sqrt(2 / ((shape[2] + n_filters) * 11))
    kernel = (rng.standard_normal((11, shape[2], n_filters)) * deviation).astype(np.float32)

    def features(x):
        return tf.nn.relu(tf.nn.conv1d(x, kernel, 1, "VALID"))

    def gram(h):
        return tf.linalg.matmul(h, h, transpose_a=True)[0] / tf.cast(tf.shape(h)[1], tf.float32)

    content, style = features(x_music), gram(features(x_ambience))

    @tf.function
    def loss_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            h = features(x)
            loss = 2e-2 * tf.nn.l2_loss(h - content) + 2 * tf.nn.l2_loss(gram(h) - style)
        return loss, tape.gradient(loss, x)

    def objective(flat):
        loss, slope = loss_and_gradient(tf.constant(flat.reshape(shape), tf.float32))
        return float(loss), slope.numpy().ravel().astype(np.float64)

    start = rng.standard_normal(shape).ravel() * 1e-3
    best, *_ = fmin_l_bfgs_b(objective, start, maxiter=n_iterations)
    magnitude = np.expm1(np.clip(best.reshape(shape[1:]), 0, 20)).astype(np.float32)
    y = librosa.griffinlim(magnitude.T, hop_length=512, length=len(music), random_state=0)
    return set_rms(y)


def original_segment(music, ambience, sr, *, n_iterations=100):
    """Transfer a segment as the original project did: eager, eight 2-D layers, librosa's inversion.

    Power mels in, content at the input and the first layer (weight 50), Gram matrices at
    the other seven (weight 10), plain gradient descent from the music.
    """
    import keras  # after the threads are set
    import librosa
    import tensorflow as tf

    mel = {"sr": sr, "n_fft": 1024, "hop_length": 256}
    M_music, M_ambience = (
        librosa.feature.melspectrogram(y=y, n_mels=384, **mel)[None, :, :, None]
        for y in (music, ambience)
    )
    x = inputs = keras.Input(M_music.shape[1:])
    taps = [x]
    for _ in range(8):
        x = keras.layers.Conv2D(32, 2, padding="same", activation="relu")(x)
        taps.append(x)
        x = keras.layers.MaxPool2D(2, padding="same")(x)
    network = keras.Model(inputs, taps)

    def gram(h):
        flat = tf.reshape(h, (-1, h.shape[-1]))
        return tf.linalg.matmul(flat, flat, transpose_a=True)

    content = network(M_music)[:2]
    style = [gram(h) for h in network(M_ambience)[2:]]
    target = tf.Variable(M_music)
    for _ in range(n_iterations):
        with tf.GradientTape() as tape:
            found = network(target)
            loss = 50 * tf.add_n(
                [tf.reduce_mean((a - b) ** 2) for a, b in zip(found[:2], content, strict=True)]
            )
            loss += 10 * tf.add_n(
                [tf.reduce_sum((gram(a) - b) ** 2) for a, b in zip(found[2:], style, strict=True)]
            )
        step = tape.gradient(loss, target)
        # A fix, without which it crashes: its steps diverge, so their length is limited.
        target.assign(tf.nn.relu(target - 1e-3 * step / (tf.norm(step) + 1e-12)))
    M = target.numpy()[0, :, :, 0]
    return librosa.feature.inverse.mel_to_audio(M, length=len(music), **mel)
