import numpy as np
import pytest
import tensorflow as tf

from nst_core.config import MelConfig
from nst_core.spectral.mel import compress, power_mel
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.losses import (
    fine_structure,
    gram_matrix,
    group_means,
    input_content,
    local_normalise,
    moving_mean,
    normalised_distance,
    onset_flux,
    peak_weights,
    squared_distance,
    style_statistics,
    whitening,
)

MEL = MelConfig()
LAGS = (1, 2, 4)


def features(n_frames=300, n_channels=6, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_channels))
    x = rng.standard_normal((1, n_frames, n_channels)) @ mixing + rng.standard_normal(n_channels)
    return tf.constant(x, tf.float32)


def fine(u):
    return fine_structure(u, group_means(u))


def gradient_of(function, x, weights):
    """Return the gradient of the weighted sum of a function's tensors."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = function(x)
        total = tf.add_n([tf.reduce_sum(w * y) for w, y in zip(weights, found, strict=True)])
    return tape.gradient(total, x)


def random_like(tensors, seed=5):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(tensor.shape).astype("f4") for tensor in tensors]


def shuffled(x, seed=0):
    return tf.gather(x, np.random.default_rng(seed).permutation(x.shape[1]), axis=1)


@pytest.fixture(scope="module")
def u_music():
    return compress(power_mel(music_piece("folk", 2.0, seed=0), MEL))


@pytest.fixture(scope="module")
def u_rain():
    return compress(power_mel(ambience("rain", 2.0, seed=0), MEL))


def test_the_gram_matrix_is_symmetric_and_positive_semi_definite():
    G = gram_matrix(features()).numpy()[0]
    np.testing.assert_allclose(G, G.T, rtol=1e-6)
    assert np.linalg.eigvalsh(G.astype(float)).min() > -1e-5 * np.trace(G)
    assert np.abs(G - np.diag(np.diag(G))).max() > 0.1


def test_the_gram_matrix_is_the_mean_outer_product():
    x = features(50, 3)
    expected = np.mean([np.outer(frame, frame) for frame in x.numpy()[0]], axis=0)
    np.testing.assert_allclose(gram_matrix(x).numpy()[0], expected, rtol=1e-4)


def test_the_gram_matrix_ignores_time_order_and_not_channel_order():
    x = features()
    np.testing.assert_allclose(gram_matrix(shuffled(x)), gram_matrix(x), rtol=1e-4)
    assert np.abs(gram_matrix(x[:, :, ::-1]) - gram_matrix(x)).max() > 0.1


def test_the_gram_matrix_does_not_depend_on_length():
    x = features()
    np.testing.assert_allclose(gram_matrix(tf.tile(x, (1, 3, 1))), gram_matrix(x), rtol=1e-4)


def test_whitening_by_its_own_figures_gives_mean_0_and_deviation_1():
    x = features()
    mean, deviation = whitening(x, 0.0)
    white = ((x - mean) / deviation).numpy()
    np.testing.assert_allclose(white.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(white.std(axis=1), 1, atol=1e-4)


def test_a_dead_channel_is_not_blown_up():
    x = features().numpy()
    x[:, :, 2] = 0
    _, deviation = whitening(tf.constant(x), 0.3)
    deviation = deviation.numpy()[0, 0]
    own = x.std(axis=1)[0]
    assert deviation[2] == pytest.approx(0.3 * own.mean(), rel=1e-4)
    np.testing.assert_allclose(
        np.delete(deviation, 2), np.maximum(np.delete(own, 2), deviation[2]), rtol=1e-4
    )


def test_statistics_are_known_for_the_sound_they_are_whitened_by():
    x = features(4000)
    mean, variance, one_sided, gram, *lagged = style_statistics(x, *whitening(x, 0.0), LAGS)
    np.testing.assert_allclose(mean, 0, atol=1e-4)
    np.testing.assert_allclose(variance, 1, atol=1e-3)
    np.testing.assert_allclose(one_sided, 0.5, atol=0.08)
    np.testing.assert_allclose(np.diagonal(gram[0]), 1 / np.sqrt(6), atol=1e-3)
    assert len(lagged) == len(LAGS)
    np.testing.assert_allclose(lagged, 0, atol=0.08)


def test_only_the_lag_products_hear_the_order_of_time():
    slow = moving_mean(features(600), 9)
    figures = whitening(slow, 0.0)
    ordered = style_statistics(slow, *figures, LAGS)
    shaken = style_statistics(shuffled(slow), *figures, LAGS)
    for before, after in zip(ordered[:4], shaken[:4], strict=True):
        np.testing.assert_allclose(after, before, atol=1e-4)
    assert np.mean(ordered[4]) > 0.7
    assert abs(np.mean(shaken[4])) < 0.2


def test_a_period_of_8_frames_is_in_its_lag():
    wave = np.sin(2 * np.pi * np.arange(400) / 8)[None, :, None].astype("f4")
    *_, half, whole = style_statistics(tf.constant(wave), *whitening(wave, 0.0), (4, 8))
    assert float(half[0, 0]) == pytest.approx(-1, abs=0.01)
    assert float(whole[0, 0]) == pytest.approx(1, abs=0.01)


def test_the_moving_mean_keeps_a_constant_up_to_the_edges():
    x = np.full((1, 30, 2), 1.7, "f4")
    np.testing.assert_allclose(moving_mean(x, 7), x, rtol=1e-6)
    ramp = np.arange(30, dtype="f4")[None, :, None]
    np.testing.assert_allclose(moving_mean(ramp, 5)[0, 2:-2, 0], np.arange(2, 28), rtol=1e-6)
    assert float(moving_mean(ramp, 5)[0, 0, 0]) == pytest.approx(1.0)


@pytest.mark.parametrize("n_frames", [1, 5, 21])
def test_the_gradient_of_the_moving_mean_is_exact(n_frames):
    x = features(60)
    weights = random_like([x])
    np.testing.assert_allclose(
        gradient_of(lambda x: [moving_mean(x, n_frames)], x, weights),
        gradient_of(lambda x: [tf.nn.avg_pool1d(x, n_frames, 1, "SAME")], x, weights),
        atol=1e-5,
    )


@pytest.mark.parametrize("lags", [(), (1,), (1, 2, 4, 8)])
def test_the_gradient_of_the_statistics_is_that_of_their_definition(lags):
    x, figures = features(100), whitening(features(100, seed=3), 0.3)

    def by_definition(x):
        white = (x - figures[0]) / figures[1]
        average = tf.reduce_mean(white, axis=1)
        centred = white - average[:, None]
        return [
            average,
            tf.reduce_mean(centred**2, axis=1),
            tf.reduce_mean(tf.nn.relu(centred) ** 2, axis=1),
            gram_matrix(centred) / np.sqrt(6),
            *(tf.reduce_mean(centred[:, :-k] * centred[:, k:], axis=1) for k in lags),
        ]

    def in_use(x):
        return style_statistics(x, *figures, lags)

    weights = random_like(by_definition(x))
    for found, expected in zip(in_use(x), by_definition(x), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    expected = gradient_of(by_definition, x, weights)
    found = gradient_of(in_use, x, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_local_normalisation_removes_slow_swells_and_keeps_the_grain(u_rain):
    swell = np.linspace(0, 3, u_rain.shape[1], dtype="f4")[None, :, None]
    means = u_rain.mean(axis=1, keepdims=True)
    plain = local_normalise(u_rain, means, 21).numpy()
    swollen = local_normalise(u_rain + swell, means, 21).numpy()
    inner = slice(12, -12)
    np.testing.assert_allclose(swollen[:, inner], plain[:, inner], atol=1e-4)
    assert plain.std(axis=1).mean() > 0.5 * u_rain.std(axis=1).mean()
    np.testing.assert_allclose(plain.mean(axis=1), means[:, 0], atol=0.15)


def test_fine_structure_is_blind_to_equalisation_and_sees_partials(u_music):
    tilt = np.linspace(0, 2, 384, dtype="f4")
    inner = slice(20, -20)
    difference = fine(u_music + tilt) - fine(u_music)
    np.testing.assert_allclose(difference[:, :, inner], 0, atol=1e-4)
    comb = np.zeros((1, 5, 384), "f4")
    comb[:, :, 100:300:20] = 1
    assert float(fine(comb)[0, 2, 200]) > 0.9
    assert float(fine(comb)[0, 2, 205]) < 0


def test_peak_weights_are_of_mean_square_one_and_nothing_between_the_partials():
    comb = np.zeros((1, 5, 384), "f4")
    comb[:, :, 100:300:20] = 1
    weights = peak_weights(comb).numpy()
    assert np.mean(weights**2) == pytest.approx(1, rel=1e-3)
    assert weights[0, 2, 200] > 4
    assert weights[0, 2, 205] == 0


def test_onset_flux_rises_at_an_onset_and_not_at_an_end():
    u = np.zeros((1, 60, 16), "f4")
    u[:, 20:40, 8:] = 1
    flux = onset_flux(group_means(u)).numpy()[0]
    assert flux.shape == (58, 2)
    assert set(np.flatnonzero(flux[:, 1])) == {18, 19}
    assert not flux[:, 0].any()


def test_group_means_are_of_eight_bands_and_of_what_is_left():
    u = np.random.default_rng(0).uniform(size=(1, 3, 20)).astype("f4")
    expected = [u[..., :8].mean(-1), u[..., 8:16].mean(-1), u[..., 16:].mean(-1)]
    np.testing.assert_allclose(group_means(u), np.stack(expected, axis=-1), rtol=1e-5)


def test_content_stays_under_equalisation_and_goes_with_another_melody(u_music):
    weights = peak_weights(u_music)
    other = compress(power_mel(music_piece("folk", 2.0, seed=1), MEL))
    tilted = u_music + np.linspace(0, 1, 384, dtype="f4")
    goal = input_content(u_music, weights)

    def distances(u):
        return [
            float(squared_distance(a, b)[0])
            for a, b in zip(input_content(u, weights), goal, strict=True)
        ]

    for equalised, changed in zip(distances(tilted), distances(other), strict=True):
        assert equalised < 0.03 * changed


def test_the_squared_distance_is_a_sum_per_item():
    a, b = np.zeros((2, 3, 4), "f4"), np.stack([np.ones((3, 4)), np.full((3, 4), 2.0)]).astype("f4")
    np.testing.assert_allclose(squared_distance(a, b), [12, 48])


def test_a_normalised_distance_is_0_at_the_goal_and_1_at_the_reference():
    goals = [features(seed=1), features(n_channels=2, seed=2) * 100]
    others = [features(seed=3), features(n_channels=2, seed=4) * 100]
    scales = [squared_distance(a, b) for a, b in zip(goals, others, strict=True)]
    halfway = [(a + b) / 2 for a, b in zip(goals, others, strict=True)]
    assert float(normalised_distance(goals, goals, scales)[0]) == 0
    assert float(normalised_distance(others, goals, scales)[0]) == pytest.approx(1, rel=1e-5)
    assert float(normalised_distance(halfway, goals, scales)[0]) == pytest.approx(0.25, rel=1e-5)


def test_every_term_counts_the_same_whatever_its_size():
    goals = [features(seed=1), features(seed=2) * 1e3]
    scales = [squared_distance(goal, tf.zeros_like(goal)) for goal in goals]
    for missed in (0, 1):
        values = [tf.zeros_like(g) if i == missed else g for i, g in enumerate(goals)]
        assert float(normalised_distance(values, goals, scales)[0]) == pytest.approx(0.5, rel=1e-5)
