"""Each control of the sound moves one thing, and moves it in one direction."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from nst_core.config import CONTROLS, TransferConfig, controls, preset
from nst_core.errors import ConfigError
from nst_core.transfer.end_to_end import transfer_arrays
from tests.sounds import noise, tone

SR = 22_050
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def level_db(y, window_s):
    power = uniform_filter1d(y.astype(float) ** 2, round(window_s * SR))
    return 10 * np.log10(power + 1e-9)


def results(name, music, ambience):
    for value in STEPS:
        config = preset("closed", **{name: value})
        yield transfer_arrays(music, ambience, sr=SR, config=config, strength=1.0)


def rising(values, *, least):
    return np.all(np.diff(values) > -0.02 * np.ptp(values)) and values[-1] - values[0] > least


def test_swell_brings_the_ambiences_slow_movement():
    waves = noise(8.0) * (1 + 0.9 * np.sin(2 * np.pi * 0.5 * np.arange(8 * SR) / SR)).astype("f4")
    movement_db = [
        np.std(level_db(y, 0.3)[SR:-SR]) for y in results("swell", tone(440, 8.0), waves)
    ]
    assert rising(movement_db, least=2.0), movement_db


def test_grain_brings_the_ambiences_fast_fluctuation():
    rng = np.random.default_rng(0)
    drops = noise(4.0) * np.repeat(rng.exponential(1.0, 4 * 105) ** 2, 210).astype("f4")[: 4 * SR]
    drops = np.pad(drops, (0, 4 * SR - len(drops)))
    fluctuation_db = [
        np.std(level_db(y, 0.005)[SR // 2 : -SR // 2])
        for y in results("grain", tone(440, 4.0), drops)
    ]
    assert rising(fluctuation_db, least=1.0), fluctuation_db


def test_timbre_moves_the_spectrum_to_the_ambiences():
    music = tone(220, 4.0) + tone(3000, 4.0, level=0.01)
    hiss = np.diff(noise(4.0), prepend=0).astype("f4")  # rises by 6 dB per octave

    def low_against_high_db(y):
        power, hz = np.abs(np.fft.rfft(y)) ** 2, np.fft.rfftfreq(len(y), 1 / SR)
        return 10 * np.log10(power[hz > 1500].sum() / power[hz < 700].sum())

    found = [low_against_high_db(y) for y in results("timbre", music, hiss)]
    assert rising(found, least=10.0), found


def test_attack_keeps_strokes_sharp():
    strokes = np.zeros(4 * SR, "f4")
    starts = range(SR // 4, 4 * SR - SR // 4, SR // 2)
    for start in starts:
        decay = np.exp(-np.arange(SR // 4) / (0.05 * SR)).astype("f4")
        strokes[start : start + SR // 4] += decay * noise(0.25, seed=start)[: SR // 4]

    def before_db(y):
        """Level 10 to 50 ms before the strokes, against that in the 50 ms after."""
        before = np.mean([np.mean(y[s - SR // 20 : s - SR // 100] ** 2) for s in starts])
        after = np.mean([np.mean(y[s : s + SR // 20] ** 2) for s in starts])
        return 10 * np.log10(after / before)

    found = [before_db(y) for y in results("attack", strokes, noise(4.0, seed=1))]
    assert rising(found, least=3.0), found


def test_a_preset_takes_the_controls_of_its_carrier_and_its_own():
    given = {
        "excitation": 0.1,
        "timbre": 0.2,
        "grain": 0.3,
        "attack": 0.4,
        "swell": 0.5,
        "wet": 0.6,
    }
    assert set(given) == set(CONTROLS)
    config = preset("closed", **given)
    assert controls(config) == given
    assert config.n_iterations == 0
    assert controls(TransferConfig()) == controls(preset("closed"))


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_outside_its_range_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name} = 9.0 is outside"):
        preset("closed", **{name: 9.0})
