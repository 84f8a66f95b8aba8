import functools

import numpy as np
import pyloudnorm
import pytest

from nst_core.audio.loudness import loudness_lufs, rms, set_loudness, set_rms, to_mono
from nst_core.errors import SignalError
from tests import sounds
from tests.blocks import use_blocks

SR = 22_050

tone = functools.partial(sounds.tone, duration_s=1.0, level=0.5)
noise = functools.partial(sounds.noise, duration_s=1.0, level=0.2)


def test_a_full_scale_tone_of_997_hz_has_the_loudness_of_the_standard():
    # BS.1770-4: a 0 dBFS sine of 997 Hz in one channel reads -3.01 LUFS.
    assert loudness_lufs(
        tone(997.0, duration_s=3.0, sr=48_000, level=1.0), 48_000
    ) == pytest.approx(-3.01, abs=0.05)


def test_a_short_sound_is_as_loud_as_the_long_one_it_was_cut_from():
    y = noise(duration_s=3.0)
    assert loudness_lufs(y[:4410], SR) == pytest.approx(loudness_lufs(y, SR), abs=0.5)


@pytest.mark.parametrize("duration_s", [0.5, 3.7, 60.2])
def test_loudness_equals_pyloudnorms_for_any_block_size(monkeypatch, duration_s):
    y = np.stack([noise(duration_s=duration_s), np.roll(noise(duration_s=duration_s), 5)], axis=1)
    y[: len(y) // 3] *= 0.01
    whole = pyloudnorm.Meter(SR).integrated_loudness(y.astype(float))
    for block in (1 << 20, 7777):
        use_blocks(monkeypatch, elements=block)
        assert loudness_lufs(y, SR) == pytest.approx(whole, abs=1e-9)


def test_a_gating_block_that_is_not_complete_does_not_count():
    y = noise(duration_s=3.0)
    y[SR:] *= 5
    longer = y[: SR + round(0.09 * SR)]
    assert loudness_lufs(longer, SR) == pytest.approx(loudness_lufs(y[:SR], SR), abs=1e-9)


def test_loudness_and_level_are_set():
    assert loudness_lufs(set_loudness(noise(duration_s=2.0), SR, -23.0), SR) == pytest.approx(
        -23.0, abs=0.01
    )
    assert rms(set_rms(noise(duration_s=1.0), 0.05)) == pytest.approx(0.05, rel=1e-5)


def test_silence_has_no_loudness_to_set():
    silence = np.zeros(SR, "f4")
    assert loudness_lufs(silence, SR) == -np.inf
    with pytest.raises(SignalError, match="silent"):
        set_loudness(silence, SR, -23.0)
    with pytest.raises(SignalError, match="silent"):
        set_rms(silence)


def test_mono_is_the_mean_of_the_channels():
    y = np.stack([noise(seed=1), noise(seed=2)], axis=1)
    np.testing.assert_allclose(to_mono(y), (y[:, 0] + y[:, 1]) / 2, atol=1e-7)
    assert to_mono(y[:, 0]).shape == (SR,)
