from dataclasses import replace

import numpy as np
import pytest

from nst_core.carrier.stretch import carrier as carry
from nst_core.config import RefineConfig
from nst_core.errors import ConfigError
from nst_core.refine.gains import apply_band_gains, refine_gains, refine_long
from nst_core.refine.loss import Loss, Texture
from nst_core.runtime.threads import thread_budget
from nst_core.streaming import block_sizes
from nst_core.synth.sounds import ambience, music_piece
from tests.carriers import HALF_RATE, weights
from tests.sounds import rms

SR = 22_050
CONFIG = RefineConfig(n_fft=512, hop_length=128, n_bands=64)
"""The windows of 44.1 kHz for sounds at 22,050 Hz."""
FULL = weights(1.0)[0]
SECONDS = 6.0


@pytest.fixture(scope="module")
def music():
    y = music_piece("folk", SECONDS, seed=0)
    return y * np.float32(0.1 / rms(y))


@pytest.fixture(scope="module")
def texture():
    y = ambience("rain", SECONDS, seed=0)
    return y * np.float32(0.1 / rms(y))


@pytest.fixture(scope="module")
def carrier(music, texture):
    (y,) = carry(music, texture, SR, HALF_RATE, weights=weights(1.0))
    return y * np.float32(0.1 / rms(y))


@pytest.fixture(scope="module")
def gains(carrier, music, texture):
    return refine_gains(carrier, music, texture, SR, CONFIG)


def losses(y, music, texture):
    loss = Loss.of(y, music, Texture.of(texture, SR, CONFIG), SR, CONFIG)
    return loss.value_and_gradient(np.zeros(loss.spectrum.shape, "f4"))[0]


def test_the_descent_brings_grain_to_the_ambience_and_onsets_to_the_music(
    carrier, music, texture, gains
):
    before = losses(carrier, music, texture)
    after = losses(apply_band_gains(carrier, gains, CONFIG, FULL), music, texture)
    assert after.style < 0.5 * before.style
    assert after.content < 0.9 * before.content


def test_the_long_term_spectrum_stays_that_of_the_carrier(carrier, gains):
    refined = apply_band_gains(carrier, gains, CONFIG, FULL)
    levels = [np.abs(np.fft.rfft(y)) ** 2 for y in (carrier, refined)]
    edges = np.linspace(200, 8000, 9) * len(carrier) / SR
    bands = [np.add.reduceat(level, edges.astype(int))[:-1] for level in levels]
    assert np.abs(10 * np.log10(bands[1] / bands[0])).max() < 2


def test_a_carrier_with_the_ambience_s_own_grain_is_left_as_it_is():
    """Noise on steady music: the half that is heard has the grain of the half that is the goal."""
    heard, goal = np.random.default_rng(0).normal(0, 0.1, (2, 6 * SR)).astype("f4")
    steady = (0.14 * np.sin(2 * np.pi * 440 * np.arange(6 * SR) / SR)).astype("f4")
    config = replace(CONFIG, settled=losses(heard, steady, goal).style)
    assert not refine_gains(heard, steady, goal, SR, config).any()
    assert refine_gains(heard, steady, goal, SR, replace(config, settled=1e-6)).any()


def test_no_steps_and_too_short_sounds_have_no_gains(carrier, music, texture):
    none = replace(CONFIG, n_steps=0)
    assert not refine_gains(carrier, music, texture, SR, none).any()
    for n in (1, 700, 2000):
        found = refine_gains(carrier[:n], music[:n], texture, SR, CONFIG)
        assert found.shape[0] == 1 + n // CONFIG.hop_length
        assert not found.any()


def test_digital_silence_in_music_and_ambience_stays_finite(carrier, music, texture):
    quiet, gap = music.copy(), texture.copy()
    quiet[2 * SR : 4 * SR] = 0
    gap[SR : 2 * SR] = 0
    found = refine_gains(carrier * (quiet != 0), quiet, gap, SR, CONFIG)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_do_not_change_any_bit(carrier, music, texture, gains, n_threads):
    with thread_budget(n_threads):
        again = refine_gains(carrier, music, texture, SR, CONFIG)
        refined = apply_band_gains(carrier, gains, CONFIG, FULL)
    np.testing.assert_array_equal(again, gains)
    np.testing.assert_array_equal(refined, apply_band_gains(carrier, gains, CONFIG, FULL))


def test_a_piece_that_fits_into_a_window_is_refined_whole(carrier, music, texture, gains):
    np.testing.assert_array_equal(refine_long(carrier, music, texture, SR, CONFIG)[:], gains)


def test_gains_in_stretches_equal_the_gains_applied_whole(carrier, gains, monkeypatch, tmp_path):
    whole = apply_band_gains(carrier, gains, CONFIG, FULL)
    sizes = replace(block_sizes.SIZES, carried_s=1.3)
    monkeypatch.setattr(block_sizes, "SIZES", sizes)
    parts = apply_band_gains(carrier, gains, CONFIG, FULL, scratch=tmp_path)[:]
    assert np.abs(parts - whole).max() < 1e-4 * rms(whole)


def test_long_music_is_refined_in_windows_that_join_without_a_step(tmp_path):
    """Periodic sounds, so that every window sees the same: the joins must not be visible."""
    second = np.random.default_rng(0).normal(0, 0.1, SR).astype("f4")
    tone = np.sin(2 * np.pi * 440 * np.arange(SR) / SR).astype("f4")
    pulse = (0.05 + np.exp(-8 * (np.arange(SR) / SR))).astype("f4")
    n = 40
    config = replace(CONFIG, window_s=16.0, window_overlap_s=2.0)
    inputs = (np.tile(x, n) for x in (0.1 * second * pulse, 0.1 * tone * pulse, second))
    found = refine_long(*inputs, SR, config, scratch=tmp_path)[:]
    assert found.shape[0] == 1 + n * SR // config.hop_length
    rate = SR / config.hop_length
    middle = found[round(5 * rate) : round(35 * rate)]
    jumps = np.abs(np.diff(middle, axis=0)).mean(axis=1)
    per_second = [jumps[round(k * rate) : round((k + 1) * rate)].mean() for k in range(29)]
    assert max(per_second) < 1.2 * np.median(per_second)


def test_a_window_of_long_music_has_the_gains_of_its_own_samples(carrier, music, texture):
    """The cross-fades lie between windows; elsewhere the gains are those of one window."""
    config = replace(CONFIG, window_s=10.0, window_overlap_s=1.0)
    y, of_music = (np.tile(x, 3) for x in (carrier, music))  # 18 s: two windows
    joined = refine_long(y, of_music, texture, SR, config)[:]
    n_frames = 1 + len(y) // config.hop_length
    length = -(-(n_frames + round(1.0 * SR / config.hop_length)) // 2)
    n = (length - 1) * config.hop_length
    alone = refine_gains(y[:n], of_music[:n], texture, SR, config)
    kept = length - round(1.0 * SR / config.hop_length) - 1
    assert np.abs(joined[:kept] - alone[:kept]).max() < 1e-4


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_strength_scales_the_gain_in_decibels(carrier, gains, weight):
    uniform = np.full_like(gains, np.log(4))
    y = apply_band_gains(carrier, uniform, CONFIG, weights(weight)[0])
    assert np.abs(y - carrier * np.float32(2**weight)).max() < 1e-5
    halfway = apply_band_gains(carrier, gains, CONFIG, weights(0.5)[0])
    full = apply_band_gains(carrier, gains, CONFIG, FULL)
    assert 0 < rms(halfway - carrier) < rms(full - carrier)


def test_other_rates_and_windows_work(music, texture, carrier):
    config = RefineConfig(n_fft=1024, hop_length=256, n_bands=76)
    inputs = [np.repeat(x, 2) for x in (carrier, music, texture)]
    found = refine_gains(*inputs, 2 * SR, config)
    refined = apply_band_gains(inputs[0], found, config, weights(1.0, sr=2 * SR)[0])
    assert np.isfinite(refined).all()
    assert found.any()


@pytest.mark.parametrize(
    "wrong",
    [{"hop_length": 512}, {"lags": (0,)}, {"tails": (-1.0,)}, {"window_overlap_s": 30.0}],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RefineConfig(**wrong)
