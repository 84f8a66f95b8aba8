import numpy as np
import pytest

from nst_core.audio.loudness import rms
from nst_core.synth.sounds import ambience
from nst_core.transfer.looping import Loop, loop_to_length

SR = 22_050


def test_a_loop_begins_as_the_clip_and_repeats_it_less_the_fade():
    y = ambience("rain", 3.0, seed=0)
    looped = loop_to_length(y, 10 * SR, SR)
    assert len(looped) == 10 * SR
    fade = len(y) // 4
    period = len(y) - fade
    np.testing.assert_array_equal(looped[:period], y[:period])
    np.testing.assert_array_equal(looped[fade:-period], looped[fade + period :])


def test_a_loop_of_noise_has_neither_a_click_nor_a_dip():
    y = 0.1 * np.random.default_rng(0).standard_normal(4 * SR).astype("f4")
    y = np.convolve(y, np.hanning(41) / 20, "same").astype("f4")
    looped = loop_to_length(y, 12 * SR, SR)
    assert np.abs(np.diff(looped)).max() < 1.1 * np.abs(np.diff(y)).max()
    level = np.sqrt(np.mean(looped[: 11 * SR].reshape(-1, SR // 5) ** 2, axis=1))
    assert level.min() > 0.85 * rms(y)
    assert level.max() < 1.15 * rms(y)


def test_a_clip_whose_ends_differ_is_joined_without_a_step():
    y = np.linspace(-0.5, 0.5, 2 * SR, dtype="f4")
    looped = loop_to_length(y, 5 * SR, SR)
    assert np.abs(np.diff(looped)).max() < 1e-3


@pytest.mark.parametrize("n", [1, 2, 5, 1000])
def test_any_clip_loops(n):
    looped = loop_to_length(np.ones(n, "f4"), 3000, SR)
    assert len(looped) == 3000
    assert looped.min() > 0.9


def test_a_long_clip_is_cut():
    y = ambience("rain", 2.0, seed=0)
    np.testing.assert_array_equal(loop_to_length(y, SR, SR), y[:SR])


@pytest.mark.parametrize("first", [0, 70_000])
@pytest.mark.parametrize("part", [slice(0, 9), slice(40_000, 60_000), slice(90_000, 200_000)])
@pytest.mark.parametrize("clip_s", [3, 9])
def test_a_stretch_of_a_loop_is_that_of_the_whole_loop(clip_s, part, first):
    clip = ambience("rain", float(clip_s), seed=0)
    n_samples = 100_000
    loop = Loop.of(clip, n_samples, SR, first=first)
    assert len(loop) == n_samples
    whole = loop_to_length(clip, first + n_samples, SR)[first:]
    np.testing.assert_array_equal(loop[part], whole[part])
