"""The benchmark's figures of faults, on sounds whose fault is known."""

import numpy as np
import pytest

from nst_core.audio.loudness import set_rms
from nst_core.metrics import controls
from tests.benchmarks import artefacts
from tests.benchmarks.faulty import FAULTY
from tests.sounds import noise, tone

SECONDS = 4.0
RATES = pytest.mark.parametrize("sr", [22_050, 44_100])


def white(sr, seed=0, *, level=0.1):
    return noise(SECONDS * sr / 22_050, seed, level=level)[: round(SECONDS * sr)]


def seconds(sr):
    return np.arange(round(SECONDS * sr)) / sr


def plucks(sr, *, decay_s=0.05):
    """Return noise that is struck twice a second."""
    return (white(sr, 3) * np.exp(-(seconds(sr) % 0.5) / decay_s)).astype("f4")


def bursts(sr):
    """Return a chord that stops for half of every second."""
    chord = sum(tone(hz, SECONDS, sr=sr) for hz in (220, 660, 1500, 4000))
    return (chord * (seconds(sr) % 1 < 0.5)).astype("f4")


def at_db(y, level_db):
    """Return a sound whose RMS is `level_db` relative to 0.1."""
    return set_rms(y, 0.1 * 10 ** (level_db / 20))


@RATES
@pytest.mark.parametrize("level_db", [-30, -20, -10])
def test_a_pre_echo_has_its_level_against_the_attack(sr, level_db):
    music = plucks(sr, decay_s=0.02)
    before = seconds(sr) % 0.5 > 0.44
    echo = white(sr, 4) * before * 10 ** (level_db / 20)
    found = artefacts.pre_echo_db((music + echo).astype("f4"), music, sr)
    # The attack decays by 8.7 dB in 20 ms, a mean of 3.6 dB below its start; the music's own floor
    # is -45 dB.
    assert found == pytest.approx(level_db + 3.6 + 45, abs=1.5)


@RATES
def test_music_without_sharp_attacks_has_no_figure_of_pre_echo(sr):
    assert np.isnan(artefacts.pre_echo_db(white(sr), tone(440, SECONDS, sr=sr), sr))


@RATES
@pytest.mark.parametrize("level_db", [-40, -20])
def test_hiss_has_its_level_above_the_louder_input(sr, level_db):
    music, dull = bursts(sr), tone(300, SECONDS, sr=sr)
    hissing, louder = (
        set_rms(music) + at_db(white(sr), each) for each in (level_db, level_db + 10)
    )
    found, more = (artefacts.hiss_db(y, music, dull, sr) for y in (hissing, louder))
    assert more - found == pytest.approx(10, abs=0.5)
    assert artefacts.hiss_db(hissing, hissing, dull, sr) == 0
    assert artefacts.hiss_db(louder, hissing, dull, sr) == pytest.approx(10, abs=1)
    assert artefacts.hiss_db(hissing, music, white(sr, 1), sr) == 0


@RATES
@pytest.mark.parametrize("level_db", [-30, -10])
def test_rumble_has_its_level_against_the_sound(sr, level_db):
    music = tone(440, SECONDS, sr=sr)
    low = at_db(tone(15, SECONDS, sr=sr), level_db)
    own = 10 * np.log10(1 + 10 ** (level_db / 10))
    found = artefacts.rumble_db(set_rms(music) + low, music, white(sr), sr)
    of_ambience = artefacts.rumble_db(music, music, white(sr), sr)
    assert of_ambience == 0
    noise_share = 10 * np.log10(25 / (sr / 2))
    assert found == pytest.approx(max(0, level_db - own - noise_share), abs=1)
    assert (
        artefacts.rumble_db(set_rms(music) + at_db(tone(40, SECONDS, sr=sr), 0), music, music, sr)
        == 0
    )


@RATES
@pytest.mark.parametrize("amplitude_db", [3, 6])
def test_pumping_is_the_movement_of_the_level(sr, amplitude_db):
    music, ambience = tone(440, SECONDS, sr=sr), white(sr)
    gain = 10 ** (amplitude_db * np.sin(2 * np.pi * 2.5 * seconds(sr)) / 20)
    found = artefacts.pumping_db((music * gain).astype("f4"), music, ambience, sr)
    assert found == pytest.approx(0.9 * np.sqrt(2) * amplitude_db, abs=0.5)
    assert artefacts.pumping_db(music, music, (ambience * gain).astype("f4"), sr) == 0


@RATES
def test_ringing_is_a_line_that_outlasts_both_inputs(sr):
    music = bursts(sr)
    ambience = (white(sr, level=0.01) * (seconds(sr) % 1 < 0.4)).astype("f4")

    def ringing(level):
        decay = np.exp(-(seconds(sr) % 1) / 0.6) * (seconds(sr) % 1 < 0.95)
        line = level * np.sin(2 * np.pi * 2500 * seconds(sr)) * decay
        return artefacts.ringing_db((music + line).astype("f4"), music, ambience, sr)

    assert artefacts.ringing_db(music, music, ambience, sr) == 0
    soft, loud = ringing(0.003), ringing(0.03)
    assert soft > 3
    assert loud - soft > 6
    # Noise in the gap is no line, however loud.
    noisy = music + 0.03 * white(sr, 5)
    assert artefacts.ringing_db(noisy, music, ambience, sr) < 0.5


def test_treble_is_measured_against_the_slope_of_the_ambience():
    sr = 44_100
    bright = white(sr)
    spectrum = np.fft.rfft(white(sr, 1))
    hz = np.fft.rfftfreq(len(bright), 1 / sr)
    for level_db in (-20, -6, 6):
        shelf = np.where(hz > 11_000, 10 ** (level_db / 20), 1)
        y = np.fft.irfft(spectrum * shelf, len(bright)).astype("f4")
        assert artefacts.treble_db(y, bright, sr) == pytest.approx(level_db, abs=1)
    dull = np.fft.irfft(spectrum * (hz < 10_800), len(bright)).astype("f4")
    assert artefacts.treble_db(dull, bright, sr) < -40
    assert np.isnan(artefacts.treble_db(bright, dull, sr))
    assert np.isnan(artefacts.treble_db(bright, bright, 22_050))


@RATES
def test_the_written_file_is_as_loud_as_the_music(sr):
    music = plucks(sr)
    assert artefacts.loudness_lu(white(sr), music, sr) == pytest.approx(0, abs=0.3)
    quiet = tone(40, SECONDS, sr=sr) + np.where(seconds(sr) < 0.01, 0.9, 0).astype("f4")
    assert artefacts.loudness_lu(quiet, set_rms(white(sr), 0.5), sr) < -3  # nothing gets there


@RATES
def test_music_itself_has_no_faults(sr):
    music, ambience = plucks(sr), white(sr, 1)
    found = artefacts.faults(music, music, ambience, sr)
    found["loudness_lu"] = artefacts.loudness_lu(music, music, sr)
    assert {name: value for name, value in found.items() if abs(value) > 0.1} == {}


def test_a_mix_fills_pauses_and_a_vocoder_blurs_attacks():
    sr = 22_050
    music, ambience = set_rms(plucks(sr)), set_rms(white(sr, 1))
    mixed = artefacts.faults(controls.mix(music, ambience, sr), music, ambience, sr)
    blurred = artefacts.faults(controls.vocoder(music, ambience, sr), music, ambience, sr)
    assert mixed["pre_echo_db"] > 15
    assert blurred["pre_echo_db"] > 10
    assert mixed["hiss_db"] == 0


@pytest.mark.parametrize(
    ("control", "figure", "least"),
    [
        ("music, early", "pre_echo_db", 6),
        ("music, hissing", "hiss_db", 6),
        ("music, rumbling", "rumble_db", 6),
        ("music, ringing", "ringing_db", 1),
    ],
)
def test_each_faulty_control_has_its_own_fault(control, figure, least):
    music, ambience = set_rms(plucks(22_050)), set_rms(tone(300, SECONDS))
    found = artefacts.faults(FAULTY[control](music, 22_050), music, ambience, 22_050)
    assert found[figure] > least, found


def test_pumped_music_pumps_where_its_own_level_is_steady():
    music = set_rms(tone(440, SECONDS))
    found = artefacts.pumping_db(FAULTY["music, pumped"](music, 22_050), music, music, 22_050)
    assert found > 6
