import numpy as np
import pytest

from nst_core.audio.limiter import limit
from nst_core.streaming.arrays import Derived, DiskArray
from tests.blocks import use_blocks
from tests.meters import band_noise, fine_peak_dbtp

SR = 22_050
RATES = [8_000, SR, 44_100, 48_000, 96_000]


def noise(n, seed=0, level=0.3):
    return (level * np.random.default_rng(seed).standard_normal(n)).astype("f4")


def quarter_rate_sine(sr, n):
    return np.sin(np.pi / 2 * np.arange(n) + np.pi / 4).astype("f4")


def pulse_train(sr, n):
    return (np.arange(n) % (sr // 7) == 0).astype("f4")


def square(sr, n):
    return np.sign(np.sin(2 * np.pi * 100 * (np.arange(n) + 0.5) / sr)).astype("f4")


def bass(sr, n):
    return np.sin(2 * np.pi * 55 * np.arange(n) / sr).astype("f4")


def plucked(sr, n):
    t = np.arange(n) / sr
    return (np.exp(-20 * (t % 0.25)) * np.sin(2 * np.pi * 330 * t)).astype("f4")


def step(sr, n):
    return (np.arange(n) > n // 2).astype("f4")


@pytest.mark.parametrize("sr", RATES)
@pytest.mark.parametrize("gain_db", [0.0, 9.0])
@pytest.mark.parametrize("make", [quarter_rate_sine, pulse_train, square, bass, plucked, step])
def test_no_true_peak_is_above_the_ceiling(make, gain_db, sr):
    y = limit(make(sr, sr // 2), sr, ceiling_dbtp=-1.0, gain_db=gain_db).y
    assert -1.3 < fine_peak_dbtp(y) < -0.9


@pytest.mark.parametrize("ceiling_dbtp", [-1.0, -6.0])
def test_constantly_limited_noise_stays_below_the_ceiling(ceiling_dbtp):
    # Its loudest points are where the meter reads lowest, so its error shows in full.
    y = limit(0.3 * band_noise((2 * SR,)), SR, ceiling_dbtp=ceiling_dbtp).y
    assert ceiling_dbtp - 0.1 < fine_peak_dbtp(y) < ceiling_dbtp + 0.1


def test_what_is_below_the_ceiling_is_only_amplified():
    y = noise(SR, level=0.05)
    found = limit(y, SR, ceiling_dbtp=-1.0)
    assert found.limited_db == 0
    np.testing.assert_array_equal(found.y, y)
    louder = limit(y, SR, ceiling_dbtp=-1.0, gain_db=6.0)
    np.testing.assert_array_equal(louder.y, y * np.float32(10**0.3))


def test_the_gain_falls_5_ms_before_a_peak_and_is_back_10_ms_after_it():
    y = np.full(SR, 0.1, "f4")
    y[10_000] = 1.8
    gain = limit(y, SR, ceiling_dbtp=-1.0).y / y
    changed = np.flatnonzero(gain < 1)
    first, last = (changed[[0, -1]] - 10_000) / SR
    # A pulse rings between its neighbours, but not above the ceiling.
    assert -0.0051 < first < -0.0045
    assert 0.0095 < last < 0.0102
    assert gain[10_000] == pytest.approx(10 ** (-1 / 20) / 1.8, rel=1e-3)
    before = gain[10_000 - 120 : 10_001]
    assert (np.diff(before) <= 1e-6).all()
    assert np.abs(np.diff(gain)).max() < 0.03, "no jump: a Hann window smooths it"


def test_limited_db_is_the_largest_reduction():
    y = np.full(SR, 0.1, "f4")
    y[5000], y[15_000] = 1.2, -1.8
    wanted = 20 * np.log10(1.8) + 1.0
    assert limit(y, SR, ceiling_dbtp=-1.0).limited_db == pytest.approx(wanted, abs=0.02)
    amplified = limit(y, SR, ceiling_dbtp=-1.0, gain_db=3.0)
    assert amplified.limited_db == pytest.approx(wanted + 3, abs=0.02)


def test_both_channels_have_one_gain():
    y = np.stack([noise(SR, 0), noise(SR, 1, level=0.01)], axis=1)
    found = limit(y, SR, ceiling_dbtp=-6.0)
    assert found.limited_db > 3
    np.testing.assert_allclose(found.y[:, 1] / y[:, 1], found.y[:, 0] / y[:, 0], rtol=1e-5)


def test_a_bass_note_is_not_distorted():
    y = limit(bass(SR, 3 * SR), SR, ceiling_dbtp=-4.0).y[SR : 2 * SR].astype(float)
    power = np.square(np.abs(np.fft.rfft(y)))
    assert power[55] > 0.9999 * power.sum()


@pytest.mark.parametrize("shape", [(40_001,), (40_001, 2)])
@pytest.mark.parametrize("block", [500, 7919])
def test_the_block_changes_no_bit_in_memory_or_on_disk(monkeypatch, tmp_path, shape, block):
    y = noise(shape)
    whole = limit(y, SR, ceiling_dbtp=-6.0)
    use_blocks(monkeypatch, metered_samples=block, in_memory_bytes=1000)
    parts = limit(Derived(np.copy, (y,)), SR, ceiling_dbtp=-6.0, scratch=tmp_path)
    assert isinstance(parts.y, DiskArray)
    assert parts.limited_db == whole.limited_db > 0
    np.testing.assert_array_equal(parts.y[:], whole.y)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_silence_and_the_shortest_sounds_pass(n):
    assert not limit(np.zeros(n, "f4"), SR, ceiling_dbtp=-1.0, gain_db=40.0).y.any()
    y = limit(np.ones(n, "f4"), SR, ceiling_dbtp=-1.0).y
    assert len(y) == n
    assert 0.5 < np.abs(y).max() < 0.892
