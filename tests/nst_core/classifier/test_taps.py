import dataclasses

import keras
import numpy as np
import pytest

from nst_core.classifier.network import INPUT_LAYER
from nst_core.classifier.taps import feature_taps
from nst_core.errors import ConfigError
from nst_core.spectral.mel import compress
from tests.networks import SMALL, build, trained_a_little, two_sounds

KINDS = pytest.mark.parametrize("kind", SMALL)


@pytest.fixture(scope="module")
def M():  # noqa: N802  # the name of a mel everywhere
    return two_sounds()


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
