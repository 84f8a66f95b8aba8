"""Every closed-form gradient against central differences in random directions."""

from dataclasses import replace

import numpy as np
import pytest

from nst_core.config import RefineConfig
from nst_core.refine.envelope import Envelope
from nst_core.refine.frames import Layout
from nst_core.refine.grain import Grain, GrainKind, moving_mean, moving_mean_adjoint
from nst_core.refine.loss import Loss, Texture
from nst_core.refine.onsets import Onsets, Rises
from nst_core.refine.spectrum import Spectrum
from nst_core.refine.statistics import Measure, Statistics, Whitening
from nst_core.synth.sounds import ambience, music_piece

SR = 22_050
LAYOUT = Layout.of(512, 128, 64, SR)
SETTINGS = {
    22_050: RefineConfig(),
    48_000: RefineConfig(n_fft=1024, hop_length=256, n_bands=76),
}
WEIGHTS = "style_weight", "content_weight", "envelope_weight", "level_weight", "gain_weight"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def powers(rng):
    """Band powers with silence, so that floors count, and with single very loud cells."""
    found = rng.exponential(size=(81, 12)).astype("f4")
    found[30:40] = 1e-9
    found[50, 3] = 400
    return found


def slope(function, x, direction, step):
    ahead, behind = (function(x + np.float32(s * step) * direction) for s in (1, -1))
    return (ahead - behind) / (2 * step)


def assert_is_gradient(function, gradient, x, rng, *, step, rtol=0.01):
    """Compare along the gradient itself, and along directions that mostly follow it."""
    along = gradient / np.sqrt(np.mean(gradient**2))
    for mixed in (0, 1):
        direction = (along + mixed * rng.standard_normal(x.shape)).astype("f4")
        wanted = float(np.sum(gradient.astype("f8") * direction))
        assert slope(function, x, direction, step) == pytest.approx(wanted, rel=rtol)


def test_a_moving_mean_is_the_mean_of_the_frames_that_exist(powers):
    wanted = np.stack([powers[max(0, t - 3) : t + 4].mean(axis=0) for t in range(len(powers))])
    np.testing.assert_allclose(moving_mean(powers, 7), wanted, rtol=1e-5)


def test_a_window_longer_than_the_sound_is_the_mean_of_all(powers):
    wanted = np.tile(powers.mean(axis=0), (len(powers), 1))
    np.testing.assert_allclose(moving_mean(powers, 401), wanted, rtol=1e-5)


def test_the_adjoint_of_a_moving_mean_is_its_transpose(powers, rng):
    other = rng.standard_normal(powers.shape).astype("f4")
    left = np.sum(moving_mean(powers, 7) * other)
    assert left == pytest.approx(np.sum(powers * moving_mean_adjoint(other, 7)), rel=1e-4)


@pytest.mark.parametrize("kind", [GrainKind(9, 1), GrainKind(5, 2)])
def test_the_gradient_of_grain(powers, rng, kind):
    divisor = rng.uniform(0.5, 2, powers.shape).astype("f4")
    weights = rng.standard_normal(powers.shape)

    def function(logs):
        return float(np.sum(weights * Grain.of(np.exp(logs), kind, divisor).values))

    gradient = powers * Grain.of(powers, kind, divisor).gradient(weights.astype("f4"))
    assert_is_gradient(function, gradient, np.log(powers), rng, step=1e-2)


@pytest.fixture
def measure(rng):
    heard = rng.random(300) > 0.2
    whitening = Whitening(np.float32([0.3] * 12), np.float32([1.5] * 12))
    return Measure(whitening, heard, np.array([1, 2, 16]), np.float32([0.5, 2]))


def test_statistics_are_those_of_the_heard_frames(measure, rng):
    grain = rng.standard_normal((300, 12)).astype("f4")
    found, _ = measure.statistics(grain)
    z = (grain - 0.3) * 1.5
    n = measure.heard.sum()
    c = np.where(measure.heard[:, None], z - z[measure.heard].mean(axis=0), 0)
    wanted = [
        z[measure.heard].mean(axis=0),
        (c**2).sum(axis=0) / n,
        (np.maximum(c, 0) ** 2).sum(axis=0) / n,
        (c**3).sum(axis=0) / n,
        *((c[:-k] * c[k:]).sum(axis=0) / n for k in (1, 2, 16)),
        *(np.maximum(s * c - edge, 0).sum(axis=0) / n for edge in (0.5, 2) for s in (1, -1)),
    ]
    np.testing.assert_allclose(found.rows, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.covariance, c.T @ c / n / np.sqrt(12), rtol=1e-4, atol=1e-6)


def test_the_gradient_of_statistics(measure, rng):
    grain = rng.standard_normal((300, 12)).astype("f4")
    rows, covariance = rng.standard_normal((11, 12)), rng.standard_normal((12, 12))

    def function(x):
        found, _ = measure.statistics(x)
        return float(np.sum(rows * found.rows) + np.sum(covariance * found.covariance))

    _, centred = measure.statistics(grain)
    of_statistics = Statistics(rows.astype("f4"), covariance.astype("f4"))
    gradient = measure.gradient(centred, of_statistics)
    assert not gradient[~measure.heard].any()
    assert_is_gradient(function, gradient, grain, rng, step=0.01)


@pytest.mark.parametrize("n_frames", [80, 81])
def test_the_gradient_of_onsets(powers, rng, n_frames):
    powers = powers[:n_frames]
    onsets = Rises.of(powers).onsets
    groups, total = (rng.standard_normal(x.shape) for x in (onsets.groups, onsets.total))

    def function(logs):
        found = Rises.of(np.exp(logs)).onsets
        return float(np.sum(groups * found.groups) + np.sum(total * found.total))

    of_onsets = Onsets(groups.astype("f4"), total.astype("f4"))
    gradient = powers * Rises.of(powers).gradient(of_onsets)
    assert_is_gradient(function, gradient, np.log(powers), rng, step=1e-2, rtol=0.03)


def test_the_gradient_of_the_slow_envelope(powers, rng):
    weights = rng.standard_normal(powers.shape)

    def function(logs):
        return float(np.sum(weights * Envelope.of(np.exp(logs), 9).values))

    gradient = powers * Envelope.of(powers, 9).gradient(weights.astype("f4"))
    assert_is_gradient(function, gradient, np.log(powers), rng, step=1e-2)


@pytest.mark.parametrize("n_samples", [4000, 4100])
def test_the_gradient_of_powers(rng, n_samples):
    spectrum = Spectrum.of(rng.standard_normal(n_samples).astype("f4"), LAYOUT)
    gains = (0.5 * rng.standard_normal(spectrum.shape)).astype("f4")
    weights = rng.standard_normal(spectrum.shape).astype("f4")

    def function(x):
        return float(np.sum(weights.astype("f8") * spectrum.powers(x)))

    function(gains)
    gradient = spectrum.gradient(weights)
    assert_is_gradient(function, gradient, gains, rng, step=0.01)


@pytest.mark.parametrize("sr", SETTINGS)
@pytest.mark.parametrize("part", WEIGHTS)
def test_the_gradient_of_each_part_of_the_loss(sr, part, rng):
    config = replace(SETTINGS[sr], **dict.fromkeys(WEIGHTS, 0.0) | {part: 1.0})
    music = music_piece("rock", 2.0, seed=0)
    carrier = ambience("rain", 2.0, seed=1)
    texture = Texture.of(ambience("waves", 2.0, seed=0), sr, config)
    loss = Loss.of(carrier, music, texture, sr, config)
    gains = (0.3 * rng.standard_normal(loss.spectrum.shape)).astype("f4")
    _, gradient = loss.value_and_gradient(gains)

    def function(x):
        return loss.value_and_gradient(x)[0].total

    assert_is_gradient(function, gradient, gains, rng, step=0.01, rtol=0.03)
