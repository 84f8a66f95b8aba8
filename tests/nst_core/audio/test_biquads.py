"""The filters against SciPy's, pyloudnorm's and the standard's table."""

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import butter, sosfilt, sosfreqz

from nst_core.audio.biquads import at_rest, butterworth_high_pass, k_weighting, run_sections
from nst_core.audio.loudness import loudness_lufs

RATES = [8_000, 22_050, 44_100, 48_000, 96_000, 192_000]


def for_scipy(sections):
    return np.insert(sections, 3, 1.0, axis=1)


@pytest.mark.parametrize("sr", RATES)
@pytest.mark.parametrize("sections", [k_weighting, lambda sr: butterworth_high_pass(6, 25.0, sr)])
def test_running_sections_equals_scipys_for_any_blocks(sections, sr):
    wanted = sections(sr)
    y = np.random.default_rng(0).standard_normal((sr, 2))
    found, state = y.copy(), at_rest(wanted, 2)
    for block in np.split(found, [1, 1000, sr // 2]):
        run_sections(wanted, block, state)
    np.testing.assert_allclose(found, sosfilt(for_scipy(wanted), y, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sr", RATES)
@pytest.mark.parametrize("order", [2, 6, 8])
def test_the_high_pass_has_the_response_of_scipys_butterworth(order, sr):
    hz = np.geomspace(1, sr / 2.01, 200)
    found, wanted = (
        sosfreqz(sections, hz, fs=sr)[1]
        for sections in (
            for_scipy(butterworth_high_pass(order, 25.0, sr)),
            butter(order, 25.0, "highpass", fs=sr, output="sos"),
        )
    )
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_k_weighting_meets_the_standards_table_but_for_the_gain_of_the_high_pass():
    shelf, high_pass = k_weighting(48_000)
    np.testing.assert_allclose(
        shelf,
        [
            1.53512485958697,
            -2.69169618940638,
            1.19839281085285,
            -1.69065929318241,
            0.73248077421585,
        ],
        atol=2e-4,
    )
    np.testing.assert_allclose(high_pass[3:], [-1.99004745483398, 0.99007225036621], atol=1e-4)
    np.testing.assert_allclose(high_pass[:3] / high_pass[0], [1, -2, 1], atol=1e-12)
    assert 20 * np.log10(high_pass[0]) == pytest.approx(-0.043, abs=0.001)


@pytest.mark.parametrize("sr", RATES)
@pytest.mark.parametrize("kind", ["white", "tone", "brown"])
def test_loudness_is_pyloudnorms_at_every_rate(kind, sr):
    rng = np.random.default_rng(1)
    y = {
        "white": 0.1 * rng.standard_normal((3 * sr, 2)),
        "tone": np.sin(2 * np.pi * 997 * np.arange(3 * sr) / sr)[:, None],
        "brown": 0.01 * np.cumsum(rng.standard_normal((3 * sr, 1)), axis=0),
    }[kind].astype("f4")
    wanted = pyloudnorm.Meter(sr).integrated_loudness(y.astype(float))
    assert loudness_lufs(y, sr) == pytest.approx(wanted, abs=1e-9)
