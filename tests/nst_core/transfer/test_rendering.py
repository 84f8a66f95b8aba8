import functools

import numpy as np
import pytest

from nst_core.config import LEVEL, MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.spectral.mel import mel_bank, n_frames, power_mel
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.analysis import analyse, load_analysis, load_recording, save_analysis
from nst_core.transfer.mel_gain import apply_mel_gain
from nst_core.transfer.rendering import render
from nst_core.transfer.stylisation import Stylisation
from tests import sounds
from tests.blocks import use_blocks
from tests.meters import level_db
from tests.sounds import rms

SR = 22_050

tone = functools.partial(sounds.tone, duration_s=1.0)
MEL = MelConfig()
CONFIG = TransferConfig()


def gain_of(db, music):
    """Return a stylisation with the same gain everywhere, or with an array of gains."""
    shape = (384, n_frames(len(music.y), MEL))
    nothing = np.zeros(1, "f4")
    return Stylisation(np.broadcast_to(db, shape).T.astype("f2"), nothing, nothing, 0)


def sounds(pair):
    return [each.y for each in pair]


@pytest.fixture(scope="module")
def pair():
    music, rain = music_piece("folk", 2.5, seed=0), ambience("rain", 3.0, seed=0)
    return analyse(music, MEL, name="music"), analyse(rain, MEL, name="ambience")


@pytest.fixture(scope="module")
def quiet_then_loud():
    """Music of 14 s whose first half is 20 dB down, and a texture."""
    music, rain = music_piece("chamber", 14.0, seed=0), ambience("rain", 5.0, seed=0)
    music[: 7 * SR] *= 0.1
    return analyse(music, MEL, name="music"), analyse(rain, MEL, name="ambience")


def test_an_analysis_keeps_the_sound_and_has_its_mel_at_one_level(tmp_path):
    y = 3 * music_piece("rock", 1.0, seed=0)
    analysis = analyse(y, MEL, name="music")
    np.testing.assert_array_equal(analysis.y, y)
    levelled = analysis.recording.mono_at(SR)
    assert rms(levelled) == pytest.approx(LEVEL, rel=1e-5)
    np.testing.assert_array_equal(analysis.M, power_mel(levelled, MEL))
    save_analysis(tmp_path / "a.npz", analysis)
    back = load_analysis(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.y, analysis.y)
    np.testing.assert_array_equal(load_recording(tmp_path / "a.npz").y, analysis.y)
    np.testing.assert_array_equal(back.M, analysis.M)


@pytest.mark.parametrize("name", ["music", "ambience"])
@pytest.mark.parametrize(
    ("y", "code"),
    [
        (np.zeros(SR, "f4"), "silent"),
        (1e-6 * tone(440), "silent"),
        (tone(440)[:1023], "too_short"),
        (np.where(np.arange(SR) == 5, np.nan, tone(440)), "non_finite"),
        (np.zeros(0, "f4"), "bad_signal"),
        (np.zeros((SR, 2), "f4"), "silent"),
        (np.zeros((2, SR, 2), "f4"), "bad_signal"),
    ],
)
def test_an_unusable_input_is_refused_by_name(name, y, code):
    with pytest.raises(SignalError, match=f"^{name} ") as caught:
        analyse(y, MEL, name=name)
    assert caught.value.code == code


def test_no_gain_leaves_a_waveform_as_it_is():
    y = music_piece("folk", 1.0, seed=0)
    unchanged = apply_mel_gain(y, np.zeros((n_frames(len(y), MEL), 384), "f4"), MEL)
    np.testing.assert_allclose(unchanged, y, atol=1e-6)


@pytest.mark.parametrize("gain_db", [-20.0, 6.0])
def test_one_gain_everywhere_is_that_gain(gain_db):
    y = tone(1000)
    louder = apply_mel_gain(y, np.full((n_frames(len(y), MEL), 384), gain_db, "f4"), MEL)
    # The ends of a cut tone reach the two bins that no band sees.
    inner = slice(2048, -2048)
    np.testing.assert_allclose(louder[inner], y[inner] * 10 ** (gain_db / 20), atol=1e-4)


def test_a_gain_in_some_bands_at_some_time_acts_there_only():
    y = tone(500, duration_s=2.0) + tone(4000, duration_s=2.0)
    gain_db = np.zeros((n_frames(len(y), MEL), 384), "f4")
    bins_hz = np.arange(513) * SR / 1024
    high = mel_bank(MEL) @ (bins_hz < 2000) == 0
    gain_db[86:, high] = -60
    changed = apply_mel_gain(y, gain_db, MEL)
    np.testing.assert_allclose(changed[: SR - 2000], y[: SR - 2000], atol=1e-3)
    np.testing.assert_allclose(
        changed[SR + 2000 : -2000], tone(500, duration_s=2.0)[SR + 2000 : -2000], atol=1e-3
    )


def test_strength_0_renders_the_music_itself_bit_for_bit(pair):
    y = render(*sounds(pair), gain_of(9.0, pair[0]), MEL, CONFIG, strength=0)
    np.testing.assert_array_equal(y, pair[0].y)


@pytest.mark.parametrize("start", ["carrier", "music"])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_a_render_is_as_long_and_as_loud_as_the_music(pair, start, strength):
    config = TransferConfig(start=start)
    y = render(*sounds(pair), gain_of(-6.0, pair[0]), MEL, config, strength=strength)
    assert y.shape == pair[0].y.shape
    assert rms(y) == pytest.approx(rms(pair[0].y), rel=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_render_rumbles_no_more_than_the_music(pair, channels):
    music, rain = (
        pair[0].y + 0.002 * tone(14, duration_s=2.5),
        pair[1].y + 0.2 * tone(14, duration_s=3.0),
    )
    if channels == 2:
        music = np.stack([music, 0.5 * music], axis=1)
    y = render(music, rain, gain_of(0.0, pair[0]), MEL, CONFIG, strength=1.0)
    assert level_db(y, SR, 0, 20) < level_db(music, SR, 0, 20)


@pytest.mark.parametrize("start", ["carrier", "music"])
def test_threads_and_a_second_run_change_no_bit(pair, start):
    config = TransferConfig(start=start)
    stylisation = gain_of(3.0, pair[0])
    y = render(*sounds(pair), stylisation, MEL, config)
    np.testing.assert_array_equal(render(*sounds(pair), stylisation, MEL, config), y)
    np.testing.assert_array_equal(render(*sounds(pair), stylisation, MEL, config, n_threads=2), y)


@pytest.mark.parametrize("start", ["carrier", "music"])
def test_the_gain_shapes_the_spectrum_as_far_as_the_strength_says(pair, start):
    gain_db = np.zeros((384, 1))
    gain_db[250:] = -12

    def high_share_db(strength, gain):
        config = TransferConfig(start=start)
        y = render(*sounds(pair), gain_of(gain, pair[0]), MEL, config, strength=strength)
        M = power_mel(y, MEL)
        return 10 * np.log10(M[270:].sum() / M[:230].sum())

    full, half = (high_share_db(s, gain_db) - high_share_db(s, 0.0) for s in (1.0, 0.5))
    assert full == pytest.approx(-12, abs=1.5)
    assert half == pytest.approx(-12 * 0.5**0.7, abs=1.5)


def test_the_gain_on_a_carrier_is_bounded(pair):
    gain_db = np.zeros((384, 1))
    gain_db[300:] = 1

    def rendered(size, bound):
        config = TransferConfig(max_gain_db=bound)
        stylisation = gain_of(size * gain_db, pair[0])
        return render(*sounds(pair), stylisation, MEL, config, strength=1.0)

    np.testing.assert_array_equal(rendered(90, 10.0), rendered(10, 10.0))
    assert np.abs(rendered(90, 20.0) - rendered(10, 10.0)).max() > 0.01


def test_without_a_gain_a_mel_start_is_the_musics_round_trip(pair):
    music = pair[0]
    M = power_mel(
        render(*sounds(pair), gain_of(0.0, music), MEL, TransferConfig(start="music")), MEL
    )
    own = power_mel(music.y, MEL)
    assert np.linalg.norm(np.sqrt(M) - np.sqrt(own)) < 0.2 * np.linalg.norm(np.sqrt(own))


def test_a_stylisation_of_another_length_is_refused(pair):
    short = analyse(pair[0].y[:SR], MEL, name="music")
    with pytest.raises(SignalError, match=r"\(87, 384\).*\(216, 384\)"):
        render(*sounds(pair), gain_of(0.0, short), MEL, CONFIG, strength=1.0)


def test_a_gain_that_is_not_finite_is_refused(pair):
    with pytest.raises(SignalError, match="NaN or infinity") as caught:
        render(*sounds(pair), gain_of(np.nan, pair[0]), MEL, CONFIG, strength=1.0)
    assert caught.value.code == "non_finite"


@pytest.mark.parametrize(("sides", "strength"), [(1, 1.0), (2, 0.3)])
def test_a_render_in_stretches_is_that_of_the_whole_track(
    quiet_then_loud, monkeypatch, sides, strength
):
    music, rain = quiet_then_loud
    if sides == 2:
        panned = np.stack([music.y, np.roll(0.5 * music.y, 300)], axis=1)
        music = analyse(panned, MEL, name="music")
    rng = np.random.default_rng(0)
    stylisation = gain_of(rng.uniform(-9, 9, (384, n_frames(len(music.y), MEL))), music)
    whole = render(music.y, rain.y, stylisation, MEL, CONFIG, strength=strength)
    use_blocks(monkeypatch, carried_s=3.0, panned_samples=1 << 15)
    parts = render(music.y, rain.y, stylisation, MEL, CONFIG, strength=strength)
    assert np.abs(parts - whole).max() < 1e-4 * rms(whole)


def test_a_quiet_stretch_stays_quiet_and_a_silent_one_silent(quiet_then_loud, monkeypatch):
    music, rain = quiet_then_loud
    stylisation = gain_of(0.0, music)
    use_blocks(monkeypatch, carried_s=5.0)
    y = render(music.y, rain.y, stylisation, MEL, TransferConfig())
    assert rms(y[: 6 * SR]) < 0.15 * rms(y[8 * SR :])
    cut = music.y.copy()
    cut[: 8 * SR] = 0
    half_silent = analyse(cut, MEL, name="music")
    y = render(half_silent.y, rain.y, stylisation, MEL, TransferConfig())
    assert rms(y[: 7 * SR]) < 1e-4
    assert rms(y[9 * SR :]) == pytest.approx(rms(cut[9 * SR :]), rel=0.2)
