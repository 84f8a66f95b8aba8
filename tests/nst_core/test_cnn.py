import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from nst_core.cnn import INPUT_LAYER, build_classifier, feature_taps, standardise_input
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.errors import ConfigError
from nst_core.mel import compress, power_mel
from nst_core.synth import ambience, music_piece

MEL = MelConfig()
SMALL = {
    "1d": ClassifierConfig(kind="1d", n_filters=16, n_layers=3),
    "2d": ClassifierConfig(kind="2d", n_filters=4, n_layers=3),
}
KINDS = pytest.mark.parametrize("kind", ["1d", "2d"])


@pytest.fixture(scope="module")
def M():  # noqa: N802  # the name of a mel everywhere
    """Two sounds, shape (2, n_frames, n_mels)."""
    sounds = music_piece("folk", 0.8, seed=0), ambience("fire", 0.8, seed=0)
    return np.stack([power_mel(y, MEL).T for y in sounds])


def build(kind, seed=0, **changes):
    config = dataclasses.replace(SMALL[kind], **changes)
    return build_classifier(config, n_mels=384, n_classes=3, seed=seed)


def trained_a_little(kind, M, **changes):
    """Four steps move the batch normalisation's figures away from 0 and 1."""
    network = build(kind, **changes)
    standardise_input(network, M)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    network.compile(
        keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    for _ in range(4):
        network.train_on_batch(M, np.array([0, 1]))
    return network


@KINDS
def test_training_steps_lower_the_loss_of_the_batch(kind, M):
    network = build(kind, dropout=0.0, band_dropout=0.0)
    network.compile(
        keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    losses = [float(network.train_on_batch(M, np.array([0, 1]))) for _ in range(12)]
    assert losses[-1] < 0.7 * losses[0]


def in_bands(x):
    """The taps of images average the frequency axis to about 12 bands."""
    width = max(1, x.shape[2] // 12)
    n_bands = x.shape[2] // width
    bands = x[:, :, : n_bands * width].reshape(*x.shape[:2], n_bands, width, -1)
    return bands.mean(axis=3).reshape(*x.shape[:2], -1)


@pytest.mark.parametrize("band_group", [1, 8])
@KINDS
def test_the_taps_are_the_networks_own_activations(kind, band_group, M):
    network = trained_a_little(kind, M, band_group=band_group)
    names = [f"relu{i}" for i in (1, 2, 3)]
    inner = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names])
    expected = [x.numpy() for x in inner(M, training=False)]
    assert np.abs(network.get_layer("norm1").moving_mean.numpy()).max() > 1e-3
    taps = feature_taps(network)
    u = np.log1p(np.float32(1e4) * M)
    found = taps.features(u, ["conv1", "conv2", "conv3"])
    for name, activation in zip(("conv1", "conv2", "conv3"), expected, strict=True):
        goal = in_bands(activation) if kind == "2d" else activation
        np.testing.assert_allclose(found[name], goal, atol=2e-4 * np.abs(goal).max())
        assert np.abs(goal).max() > 0.1


@KINDS
def test_the_input_tap_is_the_networks_compressed_input(kind, M):
    network = trained_a_little(kind, M)
    u = compress(M[0].T)
    np.testing.assert_allclose(
        feature_taps(network).features(u, [INPUT_LAYER])[INPUT_LAYER],
        network.get_layer(INPUT_LAYER)(M[:1]),
        atol=1e-5,
    )


@KINDS
def test_the_logits_do_not_depend_on_what_else_is_in_the_batch(kind, M):
    network = trained_a_little(kind, M)
    together = network(M, training=False)
    apart = tf.concat([network(M[:1], training=False), network(M[1:], training=False)], axis=0)
    np.testing.assert_allclose(together, apart, atol=1e-4)
    assert together.shape == (2, 3)


@KINDS
def test_any_number_of_frames_is_heard_and_a_loop_sounds_as_its_period(kind, M):
    network = trained_a_little(kind, M)
    once, often = network(M, training=False), network(np.tile(M, (1, 4, 1)), training=False)
    np.testing.assert_allclose(often, once, atol=0.3 * np.abs(once).max())
    assert network(M[:, :5], training=False).shape == (2, 3)


def test_each_sound_gets_its_own_logits(M):
    logits = build("1d")(M, training=False).numpy()
    assert np.abs(logits[0] - logits[1]).max() > 0.05


@KINDS
def test_a_seed_decides_the_initial_weights(kind):
    first, same, other = (build(kind, seed).get_weights() for seed in (0, 0, 1))
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(first, other, strict=True))


def test_layers_of_one_network_start_differently():
    square = dataclasses.replace(SMALL["1d"], n_filters=384, band_group=1)
    network = build_classifier(square, n_mels=384, n_classes=3, seed=0)
    one, two = (network.get_layer(name).kernel.numpy() for name in ("conv1", "conv2"))
    assert one.shape == two.shape
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05


def test_silence_has_finite_logits():
    assert np.isfinite(build("1d")(np.zeros((1, 50, 384), "f4"), training=False)).all()


@KINDS
def test_layers_beyond_the_last_one_named_are_not_computed(kind, M):
    taps = feature_taps(build(kind))
    assert taps.layer_names == ("input", "conv1", "conv2", "conv3")
    broken = dataclasses.replace(taps, kernels=(taps.kernels[0], None, None))
    u = compress(M[0].T)
    np.testing.assert_array_equal(
        broken.features(u, ["conv1"])["conv1"], taps.features(u, ["conv1"])["conv1"]
    )


def test_features_come_in_the_order_of_the_names(M):
    found = feature_taps(build("1d")).features(compress(M[0].T), ["conv2", "input", "conv1"])
    assert list(found) == ["conv2", "input", "conv1"]
    n_frames = M.shape[1]
    assert [x.shape[1] for x in found.values()] == [-(-n_frames // 2), n_frames, n_frames]


def test_an_unknown_layer_is_refused_with_the_known_ones():
    taps = feature_taps(build("1d"))
    taps.check_layers(["input", "conv3"])
    with pytest.raises(ConfigError, match=r"'conv4' is not .* input, conv1, conv2, conv3"):
        taps.check_layers(["conv1", "conv4"])
