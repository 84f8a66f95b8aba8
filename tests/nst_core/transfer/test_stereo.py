import numpy as np
import pytest

from nst_core.config import MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.spectral.mel import n_frames
from nst_core.spectral.stft import stft
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.analysis import analyse
from nst_core.transfer.rendering import render
from nst_core.transfer.stereo import left_right, middle, pan_as, side
from nst_core.transfer.stylisation import Stylisation
from tests.sounds import rms

SR = 22_050
MEL = MelConfig()
CONFIG = TransferConfig()


def level_db(y):
    return 10 * np.log10(np.mean(np.square(y, dtype=float), axis=0) + 1e-12)


def coherence(y):
    """Return the energy-weighted correlation of two channels' spectra: 1 point, 0 diffuse."""
    left, right = (stft(np.ascontiguousarray(channel), 2048, 512) for channel in y.T)
    power = np.sum(np.abs(left) ** 2) * np.sum(np.abs(right) ** 2)
    return float(np.real(np.sum(left * right.conj())) / np.sqrt(power))


def no_gain(music):
    nothing = np.zeros(1, "f4")
    return Stylisation(np.zeros((n_frames(len(music.y), MEL), 384), "f2"), nothing, nothing, 0)


@pytest.fixture(scope="module")
def rain():
    return analyse(ambience("rain", 5.0, seed=0), MEL, name="ambience")


@pytest.fixture(scope="module")
def rendered(rain):
    """Render stereo music, panned by two gains per piece, with the closed form."""

    def of(*pieces):
        y = sum(np.outer(music_piece(genre, 3.0, seed=0), gains) for genre, gains in pieces)
        music = analyse(y.astype("f4"), MEL, name="music")
        return music.y, render(music.y, rain.y, no_gain(music), MEL, CONFIG, strength=1.0)

    return of


def test_middle_and_side_are_the_channels_again():
    y = np.random.default_rng(0).standard_normal((1000, 2)).astype("f4")
    np.testing.assert_allclose(left_right(middle(y), side(y)), y, atol=1e-6)


@pytest.mark.parametrize("gains", [(1.0, 1.0), (1.0, 0.1), (0.2, 1.0)])
def test_an_instrument_stays_where_it_is(rendered, gains):
    music, y = rendered(("folk", gains))
    assert y.shape == music.shape
    wanted, found = level_db(music), level_db(y)
    assert found[0] - found[1] == pytest.approx(wanted[0] - wanted[1], abs=1.0)


def test_two_instruments_stay_on_their_sides(rendered):
    """Uses the bass drum and the high strings of two pieces, each on its own side."""
    music, y = rendered(("rock", (1.0, 0.05)), ("chamber", (0.05, 1.0)))
    spectra = [np.abs(stft(np.ascontiguousarray(x), 1024, 256)) ** 2 for x in (*music.T, *y.T)]
    shares = [(a / (a + b + 1e-9)).ravel() for a, b in (spectra[:2], spectra[2:])]
    weight = (spectra[0] + spectra[1]).ravel()
    error, of_mono = (np.average(np.abs(shares[0] - x), weights=weight) for x in (shares[1], 0.5))
    assert error < 0.6 * of_mono


def test_a_wide_sound_stays_wide_and_a_narrow_one_narrow(rendered):
    middle, y_middle = rendered(("folk", (1.0, 1.0)))
    wide, y_wide = rendered(("folk", (1.0, 1.0)), ("electronic", (0.7, -0.7)))
    assert coherence(middle) == pytest.approx(1)
    assert coherence(y_middle) > 0.99
    assert coherence(y_wide) == pytest.approx(coherence(wide), abs=0.2)


def test_a_mono_file_of_two_channels_stays_mono(rendered):
    _, y = rendered(("rock", (1.0, 1.0)))
    np.testing.assert_allclose(y[:, 0], y[:, 1], atol=1e-5)


def test_panning_moves_power_and_invents_none():
    rng = np.random.default_rng(1)
    y = rng.standard_normal((SR, 2)).astype("f4")
    music = rng.standard_normal((SR, 2)).astype("f4") * np.array([1.0, 0.1], "f4")
    panned = pan_as(y, music, SR)
    assert np.mean(panned**2) == pytest.approx(np.mean(y**2), rel=0.1)
    left, right = level_db(panned)
    assert left - right == pytest.approx(20, abs=1.5)


def test_silence_in_one_channel_stays_silence(rendered):
    _, y = rendered(("folk", (1.0, 0.0)))
    left, right = level_db(y)
    assert left - right > 60


def test_channels_that_cancel_are_refused_for_that_reason():
    y = music_piece("folk", 1.0, seed=0)
    with pytest.raises(SignalError, match="cancel to silence") as caught:
        analyse(np.stack([y, -y], axis=1), MEL, name="music")
    assert caught.value.code == "silent"


def test_a_stereo_ambience_may_be_shorter_than_the_music():
    both = np.stack([music_piece(genre, 3.0, seed=0) for genre in ("folk", "rock")], axis=1)
    music = analyse(both, MEL, name="music")
    texture = np.stack([ambience("rain", 0.5, seed=s) for s in (0, 1)], axis=1)
    y = render(music.y, texture, no_gain(music), MEL, CONFIG, strength=1.0)
    assert y.shape == both.shape
    assert np.isfinite(y).all()


@pytest.fixture
def half_silent():
    """Stereo music of 3 s, and an ambience that is silent from its middle on."""
    both = np.stack([music_piece(genre, 3.0, seed=0) for genre in ("folk", "rock")], axis=1)
    texture = ambience("rain", 8.0, seed=0)
    texture[4 * SR :] = 0
    return analyse(both, MEL, name="music"), texture


def test_of_an_ambience_that_falls_silent_the_beginning_plays_the_side_too(half_silent):
    music, texture = half_silent
    y = render(music.y, texture, no_gain(music), MEL, CONFIG, strength=1.0)
    assert rms(side(y)) == pytest.approx(rms(side(music.y)), rel=0.5)


def test_without_a_carrier_that_silence_does_not_matter(half_silent):
    music, texture = half_silent
    config = TransferConfig(start="music")
    assert np.isfinite(render(music.y, texture, no_gain(music), MEL, config)).all()


def test_two_threads_change_no_bit_of_a_stereo_render(rain):
    y = np.outer(music_piece("chamber", 3.0, seed=0), [1.0, 0.2])
    y += np.outer(music_piece("rock", 3.0, seed=1), [0.2, 1.0])
    music = analyse(y.astype("f4"), MEL, name="music")
    config = TransferConfig()
    once = render(music.y, rain.y, no_gain(music), MEL, config)
    np.testing.assert_array_equal(
        render(music.y, rain.y, no_gain(music), MEL, config, n_threads=2), once
    )
