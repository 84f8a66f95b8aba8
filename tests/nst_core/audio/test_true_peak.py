import numpy as np
import pytest

from nst_core.audio.true_peak import envelope, true_peak, true_peak_dbtp
from nst_core.errors import SignalError
from tests.blocks import use_blocks
from tests.meters import band_noise, fine_peak_dbtp

SR = 22_050


def sine(cycles_per_sample, phase=0.0, n=4000):
    return np.sin(2 * np.pi * cycles_per_sample * np.arange(n) + phase).astype("f4")


def test_a_sine_at_a_quarter_of_the_rate_peaks_3_db_above_its_samples():
    y = sine(1 / 4, np.pi / 4)
    assert 20 * np.log10(np.abs(y).max()) == pytest.approx(-3.01, abs=0.01)
    steady = envelope(y, slice(100, 3900), 0.0).max()
    assert 20 * np.log10(steady) == pytest.approx(0.0, abs=0.03)


def test_any_sine_up_to_0_47_of_the_rate_reads_its_level_within_0_15_db():
    frequencies = [*np.linspace(0.005, 0.47, 32), 1 / 3, 2 / 5]
    errors = [
        20 * np.log10(envelope(sine(f, phase, 1500), slice(300, 1200), 0.0).max())
        for f in frequencies
        for phase in np.linspace(0, np.pi, 9)
    ]
    assert min(errors) > -0.15
    assert max(errors) < 0.11


@pytest.mark.parametrize("channels", [1, 2])
def test_noise_and_pulses_read_as_a_finer_meter_reads_them(channels):
    noise = 0.1 * band_noise((30_000, channels))
    pulses = np.zeros((30_000, channels), "f4")
    pulses[[0, 7000, 29_999]] = 0.7
    for sound in (noise, pulses):
        y = sound[:, 0] if channels == 1 else sound
        assert true_peak_dbtp(y) == pytest.approx(fine_peak_dbtp(y), abs=0.1)


@pytest.mark.parametrize("floor", [0.0, 0.15, 0.3])
def test_skipped_points_are_below_the_requested_level(floor):
    y = (0.1 * np.random.default_rng(1).standard_normal(20_000)).astype("f4")
    y[:8000] *= 0.1
    every, found = (envelope(y, slice(0, len(y)), level) for level in (0.0, floor))
    above = every > floor
    assert above.any()
    np.testing.assert_array_equal(found[above], every[above])
    assert (found[~above] <= max(floor, 0)).all()


def test_the_meter_reads_the_same_whatever_the_block(monkeypatch):
    y = (0.1 * np.random.default_rng(2).standard_normal((50_000, 2))).astype("f4")
    whole = true_peak(y)
    use_blocks(monkeypatch, metered_samples=1777)
    assert true_peak(y) == whole


def test_silence_has_no_true_peak_and_nan_is_refused():
    assert true_peak_dbtp(np.zeros(SR, "f4")) == -np.inf
    with pytest.raises(SignalError, match="NaN"):
        true_peak(np.array([0.1, np.nan], "f4"))
