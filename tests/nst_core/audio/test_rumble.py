import numpy as np
import pytest

from nst_core.audio.rumble import without_rumble
from tests.blocks import use_blocks
from tests.meters import level_db

SR = 22_050


@pytest.mark.parametrize("sr", [8_000, SR, 48_000])
def test_what_is_below_20_hz_falls_by_12_db_and_more_and_what_is_above_40_hz_stays(sr):
    y = np.random.default_rng(0).standard_normal(10 * sr).astype("f4")
    found = without_rumble(y, sr)
    change = [
        level_db(found, sr, *band) - level_db(y, sr, *band)
        for band in [(0, 10), (10, 20), (40, 50), (50, sr / 2)]
    ]
    assert change[0] < -40
    assert change[1] < -15
    assert change[2] == pytest.approx(0, abs=0.1)
    assert change[3] == pytest.approx(0, abs=0.02)


def test_the_edge_of_hearing_falls_by_12_db():
    y = np.sin(2 * np.pi * 20 * np.arange(10 * SR) / SR).astype("f4")
    steady = without_rumble(y, SR)[5 * SR :]
    assert 20 * np.log10(np.abs(steady).max()) == pytest.approx(-11.9, abs=0.1)


def test_an_offset_goes_and_silence_stays():
    assert np.abs(without_rumble(np.full(3 * SR, 0.5, "f4"), SR)[-SR:]).max() < 1e-4
    assert not without_rumble(np.zeros((SR, 2), "f4"), SR).any()


def test_blocks_change_no_bit(monkeypatch):
    y = np.random.default_rng(1).standard_normal((30_000, 2)).astype("f4")
    whole = without_rumble(y, SR)
    use_blocks(monkeypatch, elements=777)
    np.testing.assert_array_equal(without_rumble(y, SR), whole)
