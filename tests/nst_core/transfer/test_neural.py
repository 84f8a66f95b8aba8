import dataclasses

import numpy as np
import pytest

from nst_core.config import DEFAULT_STRENGTH, MelConfig, TransferConfig, preset
from nst_core.errors import ConfigError, SignalError
from nst_core.metrics.scores import evaluate
from nst_core.spectral.mel import power_mel
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.analysis import analyse
from nst_core.transfer.descent import compiled_descent
from nst_core.transfer.end_to_end import transfer_arrays
from nst_core.transfer.neural import stylise
from nst_core.transfer.rendering import render
from tests.blocks import use_blocks
from tests.networks import FEW_STEPS
from tests.sounds import rms
from tests.spectra import flux

SR = 22_050
MEL = MelConfig()
STARTS = ("carrier", "music", "ambience", "noise", "mix")


def test_strength_0_returns_the_music_bit_for_bit_and_needs_no_classifier(music, rain):
    y = transfer_arrays(music, rain, sr=44_100, strength=0)
    np.testing.assert_array_equal(y, music)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("gains", [None, (1.0, 0.4)])
def test_a_handed_over_carrier_equals_the_one_an_inversion_makes(
    classifier, music, rain, strength, gains
):
    y = (
        music
        if gains is None
        else np.stack([g * np.roll(music, round(99 * g)) for g in gains], axis=1)
    )
    inputs = analyse(y.astype("f4"), MEL, name="music"), analyse(rain, MEL, name="ambience")
    made = stylise(*inputs, classifier, FEW_STEPS, strength=strength, n_threads=2)
    assert list(made.carriers) == [strength]
    without = dataclasses.replace(made, carriers={})
    sounds = [each.y for each in inputs]
    later = render(*sounds, without, MEL, FEW_STEPS, strength=strength)
    now = render(*sounds, made, MEL, FEW_STEPS, strength=strength, n_threads=2)
    np.testing.assert_array_equal(now, later)


def test_a_transfer_on_disk_is_the_one_in_memory(classifier, rain, tmp_path, monkeypatch):
    use_blocks(monkeypatch, in_memory_bytes=1 << 16, carried_s=5.0)
    left, right = (music_piece(genre, 13.0, seed=0) for genre in ("folk", "rock"))
    music = np.stack([left, right], axis=1)
    texture = analyse(rain, MEL, name="ambience")
    config = TransferConfig(n_iterations=1, window_s=10.0, window_overlap_s=1.0)
    found = []
    for scratch in (None, tmp_path):
        analysed = analyse(music, MEL, name="music", scratch=scratch)
        made = stylise(analysed, texture, classifier, config, scratch=scratch)
        kinds = {type(each) for each in (made.gain_db, *made.carriers.values())}
        assert (np.ndarray in kinds) == (scratch is None)
        y = render(music, rain, made, MEL, config, scratch=scratch)
        found.append([made.gain_db[:], made.carriers[DEFAULT_STRENGTH][:], y[:]])
    for in_memory, on_disk in zip(*found, strict=True):
        np.testing.assert_array_equal(in_memory, on_disk)


def test_channels_that_come_first_are_named(music, rain):
    with pytest.raises(SignalError, match=r"music has shape \(2, 66150\), channels first"):
        transfer_arrays(np.stack([music, music]), rain, sr=SR)


def test_strength_0_returns_stereo_and_the_mono_of_more_channels(music, rain):
    stereo = np.stack([music, 0.5 * music], axis=1)
    np.testing.assert_array_equal(transfer_arrays(stereo, rain, sr=SR, strength=0), stereo)
    three = np.stack([music, 0.5 * music, 0 * music], axis=1)
    y = transfer_arrays(three, rain, sr=SR, strength=0)
    np.testing.assert_allclose(y, 0.5 * music, atol=1e-7)


@pytest.mark.parametrize("sr", [SR, 44_100, 48_000, 8_000])
@pytest.mark.parametrize("n", [20_011, 30_000])
def test_the_result_is_as_long_and_as_loud_as_the_music(transfer, sr, n):
    music = music_piece("rock", 6.0, seed=0, sr=sr)[sr // 3 : sr // 3 + n]
    y = transfer(music, ambience("rain", 2.0, seed=0, sr=sr), sr=sr)
    assert y.shape == music.shape
    assert y.dtype == np.float32
    assert rms(y) == pytest.approx(rms(music), rel=0.05)


def test_two_runs_and_two_threads_give_the_same_bytes(transfer, music, rain):
    y = transfer(music, rain)
    assert transfer(music, rain).tobytes() == y.tobytes()
    assert transfer(music, rain, n_threads=2).tobytes() == y.tobytes()


def test_more_strength_leaves_less_of_the_music_and_brings_more_of_the_ambience(
    transfer, music, rain
):
    used, kept = rain[: 4 * SR], rain[4 * SR :]
    found = [
        evaluate(transfer(music, used, TransferConfig(), strength=s), music, kept, SR)
        for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert np.all(np.diff([m.content for m in found]) < 0)
    assert np.all(np.diff([m.carrier_db for m in found]) > 0)
    assert np.all(np.diff([m.spectrum_moved for m in found]) > 0)
    assert found[0].content == pytest.approx(1)
    assert found[-1].content > 0.4
    assert found[-1].texture > 0.7


@pytest.mark.parametrize("genre", ["chamber", "folk", "rock"])
def test_a_transfer_passes_the_gates_that_a_mix_fails(transfer, genre, rain):
    music = music_piece(genre, 4.0, seed=0)
    used, kept = rain[: 4 * SR], rain[4 * SR :]
    real = evaluate(transfer(music, used, TransferConfig(), strength=1.0), music, kept, SR)
    mixed = evaluate(music + used, music, kept, SR)
    assert real.follow > 0.25
    assert real.carrier_db > 3.4
    assert mixed.follow < 0.25
    assert mixed.carrier_db < 3.4


def test_a_high_content_weight_brings_content_back_to_the_carrier(transfer, rain):
    music = music_piece("folk", 4.0, seed=0)
    closed, neural = (
        evaluate(
            transfer(
                music,
                rain[: 4 * SR],
                preset("classifier", content_weight=3.0, n_iterations=n),
                strength=1.0,
            ),
            music,
            rain[4 * SR :],
            SR,
        ).content
        for n in (0, 40)
    )
    assert neural > closed + 0.01


@pytest.mark.parametrize("start", STARTS)
def test_every_start_gives_a_sound_of_its_own(transfer, music, rain, start):
    music = music[: 2 * SR]
    y = transfer(music, rain, start=start, strength=1.0)
    assert np.isfinite(y).all()
    assert rms(y) == pytest.approx(rms(music), rel=1e-3)
    u = np.log1p(1e4 * power_mel(y, MEL))
    for other in set(STARTS) - {start}:
        elsewhere = np.log1p(1e4 * power_mel(transfer(music, rain, start=other, strength=1.0), MEL))
        assert np.abs(u - elsewhere).mean() > 0.05, other


def test_a_start_from_the_ambience_sounds_like_it_and_one_from_the_music_does_not(
    transfer, music, rain
):
    goal = np.log1p(1e4 * power_mel(rain[: len(music)], MEL)).mean(axis=1)

    def distance(start):
        y = transfer(music, rain, start=start, strength=1.0, n_iterations=0)
        return np.abs(np.log1p(1e4 * power_mel(y, MEL)).mean(axis=1) - goal).mean()

    assert distance("ambience") < 0.2 * distance("music")
    assert distance("ambience") < distance("mix") < distance("music")


def test_the_seed_affects_only_noise(transfer, music, rain):
    music = music[:SR]
    for start, differs in (("noise", True), ("mix", False)):
        first, second = (transfer(music, rain, start=start, seed=seed) for seed in (0, 1))
        assert (first.tobytes() != second.tobytes()) is differs


def test_levels_and_a_second_channel_change_only_the_level(transfer, music, rain):
    y = transfer(music, rain)
    np.testing.assert_allclose(transfer(music, 0.05 * rain), y, atol=5e-3)
    np.testing.assert_allclose(transfer(0.25 * music, rain) * 4, y, atol=5e-3)
    stereo = np.stack([music, music], axis=1)
    both = transfer(stereo, rain[:, None])
    np.testing.assert_allclose(both, np.stack([y, y], axis=1), atol=5e-3)


def test_an_ambience_shorter_than_the_music_loops_without_a_click(transfer):
    music = 0.1 * np.sin(2 * np.pi * 440 * np.arange(9 * SR) / SR).astype("f4")
    y = transfer(music, ambience("rain", 2.5, seed=0), strength=1.0)
    # The loop of 2.5 s, less a quarter for the fade, starts again at these frames.
    period = (2.5 - 2.5 / 4) * SR / 256
    rises = flux(y)
    seams = [round(k * period) + i for k in range(1, 5) for i in range(-2, 3)]
    assert rises[seams].max() <= np.quantile(rises, 0.995)
    jumps = np.abs(np.diff(y, n=2))[: 9 * SR // 256 * 256 - 256].reshape(-1, 256).max(axis=1)
    assert jumps[[s for s in seams if s < len(jumps)]].max() < 1.2 * np.quantile(jumps, 0.99)


def test_a_stylisation_does_not_depend_on_strength_and_serves_them_all(classifier, music, rain):
    analysed = analyse(music, MEL, name="music"), analyse(rain, MEL, name="ambience")
    low, high = (stylise(*analysed, classifier, FEW_STEPS, strength=s) for s in (0.2, 1.0))
    np.testing.assert_array_equal(low.gain_db, high.gain_db)
    np.testing.assert_array_equal(
        render(*(each.y for each in analysed), low, MEL, FEW_STEPS, strength=1.0),
        transfer_arrays(music, rain, sr=SR, config=FEW_STEPS, strength=1.0, classifier=classifier),
    )


def test_the_curves_of_a_stylisation_are_those_of_its_steps(classifier, music, rain):
    analysed = analyse(music, MEL, name="music"), analyse(rain, MEL, name="ambience")
    found = stylise(*analysed, classifier, TransferConfig(n_iterations=20))
    assert found.content_loss.shape == found.style_loss.shape == (21,)
    loss = found.content_loss + 3 * found.style_loss
    assert found.best_iteration == loss.argmin()
    assert loss.min() < loss[0]
    assert np.abs(found.gain_db).mean() > 0.1


def test_lengths_weights_and_steps_cost_no_second_trace(classifier, music, rain):
    # Layers that no other test uses, so that the first trace happens here.
    config = dataclasses.replace(FEW_STEPS, style_layers=("conv1", "conv2"), style_lags=(1, 3))
    descent = compiled_descent(MEL.n_mels, classifier.taps, config)
    assert descent.experimental_get_tracing_count() == 0

    def run(y_music, y_ambience, **changes):
        analysed = analyse(y_music, MEL, name="music"), analyse(y_ambience, MEL, name="ambience")
        stylise(*analysed, classifier, dataclasses.replace(config, **changes))

    run(music, rain)
    assert descent.experimental_get_tracing_count() == 1
    run(music[:SR], rain[: 2 * SR])
    run(np.tile(music, 5), rain, window_s=10.0)
    run(music, rain, content_weight=2.0, style_weight=1.0, learning_rate=0.3, n_iterations=7)
    assert descent.experimental_get_tracing_count() == 1
    assert compiled_descent(MEL.n_mels, classifier.taps, config) is descent


@pytest.mark.parametrize("name", ["music", "ambience"])
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (np.zeros(SR, "f4"), "silent"),
        (np.full(1000, 0.1, "f4"), "too_short"),
        (np.full(SR, np.nan, "f4"), "non_finite"),
        (np.zeros(0, "f4"), "bad_signal"),
        (np.zeros((2, 3, 4), "f4"), "bad_signal"),
    ],
    ids=["silent", "too short", "nan", "empty", "3d"],
)
def test_an_unusable_input_is_refused_by_its_name(transfer, music, rain, name, bad, code):
    inputs = {"music": music, "ambience": rain} | {name: bad}
    with pytest.raises(SignalError, match=name) as caught:
        transfer(inputs["music"], inputs["ambience"])
    assert caught.value.code == code


def test_music_too_short_for_the_lags_is_refused_for_that_reason(transfer, rain, music):
    with pytest.raises(SignalError, match="music has 8 frames") as caught:
        transfer(music[SR : SR + 2000], rain)
    assert caught.value.code == "too_short"


def test_an_unknown_layer_is_refused(transfer, music, rain):
    with pytest.raises(ConfigError, match="'conv7'"):
        transfer(music, rain, style_layers=("conv7",))
