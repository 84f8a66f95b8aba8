import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from nst_core.classifier.network import build_classifier
from tests.networks import SMALL, build, trained_a_little, two_sounds

KINDS = pytest.mark.parametrize("kind", SMALL)


@pytest.fixture(scope="module")
def M():  # noqa: N802  # the name of a mel everywhere
    return two_sounds()


@KINDS
def test_training_steps_lower_the_loss_of_the_batch(kind, M):
    network = build(kind, dropout=0.0, band_dropout=0.0)
    network.compile(
        keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    losses = [float(network.train_on_batch(M, np.array([0, 1]))) for _ in range(12)]
    assert losses[-1] < 0.7 * losses[0]


@KINDS
def test_the_logits_do_not_depend_on_what_else_is_in_the_batch(kind, M):
    network = trained_a_little(kind, M)
    together = network(M, training=False)
    apart = tf.concat([network(M[:1], training=False), network(M[1:], training=False)], axis=0)
    np.testing.assert_allclose(together, apart, atol=1e-4)
    assert together.shape == (2, 3)


@KINDS
def test_any_number_of_frames_is_accepted_and_a_loop_gives_the_result_of_its_period(kind, M):
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
