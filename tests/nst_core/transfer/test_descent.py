import dataclasses

import numpy as np
import pytest

from nst_core.classifier.network import build_classifier
from nst_core.classifier.taps import feature_taps
from nst_core.config import ClassifierConfig, MelConfig, TransferConfig
from nst_core.errors import ConfigError, SignalError
from nst_core.spectral.mel import compress, mel_bank, power_mel
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.descent import optimise

MEL = MelConfig()
EMPTY = ~mel_bank(MEL).any(axis=1)
FEW = TransferConfig(n_iterations=5)


@pytest.fixture(scope="module")
def u():
    """Compressed mels of a piece, of rain, and of the two together."""
    music, rain = music_piece("folk", 2.0, seed=0), ambience("rain", 2.0, seed=0)
    both = (music + rain) / np.sqrt(2)
    return {
        name: compress(power_mel(y, MEL))
        for name, y in {"music": music, "ambience": rain, "mix": both}.items()
    }


@pytest.fixture(scope="module")
def run(u, classifier):
    """Optimise from one of the three inputs towards the ambience."""

    def optimise_from(start, config=FEW, taps=classifier.taps, **changes):
        goal = u["ambience"]
        config = dataclasses.replace(config, **changes)
        return optimise(u[start], u["music"], goal, goal, taps, config)

    return optimise_from


def total(result, config=FEW):
    weighted = config.content_weight * result.content_loss + config.style_weight * result.style_loss
    return weighted / (config.content_weight + config.style_weight)


def change(a, b):
    return float(np.abs(a.u - b.u).mean())


@pytest.mark.parametrize(
    "layers", [("input",), ("conv1",), ("conv2",), ("input", "conv1", "conv2")]
)
def test_losses_are_1_at_the_other_input_and_0_at_the_goal(run, layers):
    options = {"n_iterations": 0, "content_layers": layers, "style_layers": layers}
    music, rain = run("music", **options), run("ambience", **options)
    assert music.content_loss[0] == pytest.approx(0, abs=1e-5)
    assert music.style_loss[0] == pytest.approx(1, abs=1e-3)
    assert rain.content_loss[0] == pytest.approx(1, abs=1e-3)
    assert rain.style_loss[0] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("start", ["music", "mix"])
def test_the_loss_falls_and_the_best_state_comes_back(run, start):
    config = TransferConfig(n_iterations=25)
    result = run(start, config)
    loss = total(result, config)
    assert len(loss) == 26
    assert result.best_iteration == loss.argmin()
    assert loss.min() < 0.6 * loss[0]


def test_the_returned_state_has_the_loss_that_is_reported(run, u, classifier):
    result = run("mix", n_iterations=8)
    goal = u["ambience"]
    again = optimise(
        result.u, u["music"], goal, goal, classifier.taps, dataclasses.replace(FEW, n_iterations=0)
    )
    assert total(again)[0] == pytest.approx(total(result).min(), rel=1e-4)


def test_a_huge_rate_never_returns_something_worse_than_the_start(run, u):
    result = run("mix", learning_rate=10.0, n_iterations=6)
    loss = total(result)
    assert loss[1:].max() > 2 * loss[0]
    assert loss[result.best_iteration] == loss.min()
    assert loss[result.best_iteration] <= loss[0]
    assert np.isfinite(result.u).all()


def test_the_start_is_returned_if_every_step_is_worse(run, u):
    result = run("music", learning_rate=10.0, style_weight=0.0)
    assert result.best_iteration == 0
    np.testing.assert_array_equal(result.u, u["music"])


@pytest.mark.parametrize(("rate", "n"), [(0.1, 20), (0.25, 100)])
def test_the_mel_stays_non_negative_and_its_empty_bands_zero(run, rate, n):
    result = run("music", learning_rate=rate, n_iterations=n, content_weight=0.0)
    assert result.best_iteration > 0
    assert result.u.min() >= 0
    assert not result.u[:, :, EMPTY].any()


def test_no_iterations_return_the_start(run, u):
    result = run("mix", n_iterations=0)
    np.testing.assert_array_equal(result.u, u["mix"])
    assert result.style_loss.shape == (1,)


def test_two_runs_are_bit_equal(run):
    first, second = run("mix"), run("mix")
    np.testing.assert_array_equal(first.u, second.u)
    np.testing.assert_array_equal(first.style_loss, second.style_loss)


@pytest.mark.parametrize(
    "changed",
    [
        {"content_layers": ("conv1",)},
        {"style_layers": ("conv2",)},
        {"content_weight": 30.0},
        {"style_weight": 30.0},
        {"n_iterations": 9},
        {"learning_rate": 0.3},
        {"style_lags": ()},
        {"local_norm_frames": 5},
        {"deviation_floor": 0.0},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_setting_has_an_effect(run, changed):
    base = {"content_weight": 20.0, "n_iterations": 8}
    assert change(run("music", **{**base, **changed}), run("music", **base)) > 1e-3


def test_the_start_has_an_effect(run):
    assert change(run("music"), run("mix")) > 0.05


def test_content_weight_keeps_the_music_and_style_weight_changes_it(run):
    held = run("music", TransferConfig(content_weight=1000.0, style_weight=1.0, n_iterations=15))
    loose = run("music", TransferConfig(content_weight=1.0, style_weight=1000.0, n_iterations=15))
    assert held.content_loss[held.best_iteration] < 0.5 * loose.content_loss[loose.best_iteration]
    assert loose.style_loss[loose.best_iteration] < held.style_loss[held.best_iteration]


def test_a_scale_of_both_weights_changes_nothing(run):
    twice = run("mix", content_weight=2.0, style_weight=6.0)
    assert change(twice, run("mix", content_weight=1.0, style_weight=3.0)) < 1e-5


def test_the_2d_kind_also_works(run):
    architecture = ClassifierConfig(kind="2d", n_filters=3, n_layers=2)
    network = build_classifier(architecture, n_mels=384, n_classes=2, seed=0)
    taps = feature_taps(network)
    result = run("music", taps=taps, n_iterations=12, style_layers=("conv1", "conv2"))
    assert total(result).min() < 0.8 * total(result)[0]


@pytest.mark.parametrize("side", ["content_layers", "style_layers"])
def test_an_unknown_layer_is_refused_by_name(run, side):
    with pytest.raises(ConfigError, match=r"'conv9' is not .* input, conv1, conv2"):
        run("music", **{side: ("conv9",)})


@pytest.mark.parametrize(("name", "order"), [("music", (4, 40)), ("ambience", (40, 4))])
def test_what_is_shorter_than_the_longest_lag_is_refused_by_name(u, classifier, name, order):
    music, rain = u["music"][:, : order[0]], u["ambience"][:, : order[1]]
    with pytest.raises(SignalError, match=f"{name} has 4 frames.*style_lags") as caught:
        optimise(music, music, u["ambience"][:, : order[0]], rain, classifier.taps, FEW)
    assert caught.value.code == "too_short"


def test_a_loss_that_is_nowhere_finite_is_an_error(u, classifier):
    broken = u["music"].copy()
    broken[0, 5, 5] = np.nan
    with pytest.raises(SignalError, match="not finite") as caught:
        optimise(broken, broken, u["ambience"], u["ambience"], classifier.taps, FEW)
    assert caught.value.code == "no_finite_loss"
