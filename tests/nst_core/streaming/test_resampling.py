import functools

import numpy as np
import pytest

from nst_core.audio.loudness import rms
from nst_core.streaming.resampling import resample, resampled
from tests import sounds
from tests.meters import loudest_hz

SR = 22_050

tone = functools.partial(sounds.tone, duration_s=1.0, level=0.5)
noise = functools.partial(sounds.noise, duration_s=1.0, level=0.2)


@pytest.mark.parametrize(("sr_in", "sr_out"), [(44_100, SR), (48_000, SR), (8_000, SR), (SR, SR)])
@pytest.mark.parametrize("channels", [1, 2])
def test_resampling_in_stretches_equals_resampling_the_whole_bit_for_bit(sr_in, sr_out, channels):
    y = np.random.default_rng(0).standard_normal((2 * sr_in + 77, channels)).astype("f4")
    y = y[:, 0] if channels == 1 else y
    found = resampled(np.split(y, [1, 1000, 30_000]), sr_in, sr_out)
    np.testing.assert_array_equal(np.concatenate(list(found)), resample(y, sr_in, sr_out))


@pytest.mark.parametrize("sr_out", [8_000, 16_000, 44_100, 48_000])
def test_a_tone_keeps_its_frequency_and_level_through_resampling(sr_out):
    y = resample(tone(1000.0), SR, sr_out)
    assert len(y) == sr_out
    assert y.dtype == np.float32
    assert loudest_hz(y, sr_out) == pytest.approx(1000.0, abs=1.0)
    assert rms(y[200:-200]) == pytest.approx(0.5 / np.sqrt(2), rel=2e-3)


def test_frequencies_above_the_lower_rate_are_removed_and_not_folded_back():
    assert rms(resample(tone(9_000.0), SR, 16_000)[500:-500]) < 1e-4


def test_stereo_channels_are_resampled_apart():
    y = np.stack([tone(440.0), tone(880.0)], axis=1)
    left, right = resample(y, SR, 44_100).T
    assert loudest_hz(left, 44_100) == pytest.approx(440.0, abs=1.0)
    assert loudest_hz(right, 44_100) == pytest.approx(880.0, abs=1.0)
