import dataclasses
import functools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import hilbert

from nst_core.carrier.band_target import band_target
from nst_core.carrier.excitation import excite, partials, plain_share, refocus
from nst_core.carrier.imposition import impose
from nst_core.carrier.smoothing import edge_aware_smooth, gaussian_along_time
from nst_core.carrier.stretch import carrier
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.stft import stft
from nst_core.synth.sounds import ambience, music_piece
from tests import sounds
from tests.carriers import HALF_RATE, even, weights
from tests.sounds import noise, rms

SR = 22_050
tone = functools.partial(sounds.tone, level=0.1 * 2**0.5)
CONFIG = HALF_RATE
FULL = weights(1.0)
ALL = np.ones(1, np.float32)


def power(y, n_fft=4096, hop=512):
    return np.abs(stft(y, n_fft, hop)) ** 2


@pytest.fixture(scope="module")
def pair():
    return music_piece("chamber", 3.0, seed=0), ambience("rain", 3.0, seed=0)


@pytest.mark.parametrize(("n_bands", "n_fft"), [(64, 512), (32, 1024), (40, 4096)])
def test_the_bands_sum_to_one_at_every_bin(n_bands, n_fft):
    bank = erb_bank(n_bands, n_fft, SR)
    np.testing.assert_allclose(bank.sum(axis=0), 1, atol=1e-6)
    assert (bank.sum(axis=1) > 0).all()
    assert len(bank) <= n_bands


def test_bands_widen_with_frequency_as_the_ears_filters_do():
    bank = erb_bank(32, 4096, SR)
    width_hz = bank.sum(axis=1)[1:-1] * SR / 4096
    centre_hz = (bank @ np.arange(2049) / bank.sum(axis=1))[1:-1] * SR / 4096
    erb_hz = 24.7 + centre_hz / 9.265
    np.testing.assert_allclose(width_hz / erb_hz, np.mean(width_hz / erb_hz), rtol=0.1)


def test_a_tone_excites_the_noise_at_its_own_frequency_only():
    y = excite(partials(tone(880.0), CONFIG), noise(), CONFIG)
    spectrum = power(y).mean(axis=0)
    hz = np.arange(2049) * SR / 4096
    near = np.abs(hz - 880) < 40
    assert spectrum[near].sum() > 0.99 * spectrum.sum()


def test_the_excitation_keeps_the_ambiences_phases(pair):
    music, rain = pair
    D, own, other = (
        stft(y, 4096, 512) for y in (excite(partials(music, CONFIG), rain, CONFIG), rain, music)
    )
    weight = np.abs(D) ** 2

    def agreement(reference):
        return np.sum(weight * np.cos(np.angle(D) - np.angle(reference))) / weight.sum()

    assert agreement(own) > 0.5
    assert abs(agreement(other)) < 0.2


def test_a_partial_of_the_carrier_flutters_like_noise_where_the_tone_was_steady():
    (y,) = carrier(tone(880.0), noise(), SR, CONFIG, weights=FULL)
    envelope = np.abs(hilbert(y.astype(float)))[SR // 4 : -SR // 4]
    assert envelope.std() / envelope.mean() > 0.2
    assert np.std(np.abs(hilbert(tone(880.0)))[SR // 4 : -SR // 4]) < 0.02


def test_the_ambiences_own_spectrum_is_whitened_away(pair):
    music, rain = pair
    tilted = np.diff(rain, prepend=0).astype("f4")
    a, b = (power(excite(partials(music, CONFIG), y, CONFIG)).mean(axis=0) for y in (rain, tilted))
    audible = a > 1e-4 * a.max()
    assert np.abs(10 * np.log10(a[audible] / b[audible])).mean() < 1.5
    raw = 10 * np.log10(power(rain).mean(axis=0) / power(tilted).mean(axis=0))
    assert np.abs(raw - np.median(raw)).mean() > 3


def share_near(y, *tones_hz):
    """Return the share of the energy below 1 kHz that is within 15 Hz of one of the tones."""
    hz = np.arange(2049) * SR / 4096
    spectrum = power(y).mean(axis=0) * (hz < 1000)
    near = np.min([np.abs(hz - each) for each in tones_hz], axis=0) < 15
    return spectrum[near].sum() / spectrum.sum()


def test_refocusing_lowers_the_space_between_the_musics_partials():
    chord = tone(440.0) + tone(554.4)
    tonal = dataclasses.replace(CONFIG, excitation=0.0)
    y = refocus(noise(), partials(chord, tonal), ALL, SR, tonal)
    before, after = (power(x).mean(axis=0) for x in (noise(), y))
    between, high = slice(90, 95), slice(600, 2000)  # 484 to 506 Hz; 3.2 to 10.8 kHz
    assert after[between].sum() < 0.01 * before[between].sum()
    np.testing.assert_allclose(after[high], before[high], rtol=1e-3)
    assert share_near(y, 440, 554.4) > 5 * share_near(noise(), 440, 554.4)


def test_refocusing_at_weight_zero_changes_nothing():
    y = refocus(noise(), partials(tone(440.0), CONFIG), 0 * ALL, SR, CONFIG)
    np.testing.assert_allclose(y, noise(), atol=1e-6)


def test_refocusing_makes_the_notes_of_a_chord_stand_out():
    chord, rain = tone(440.0) + tone(554.4), ambience("rain", 2.0, seed=0)
    tonal = dataclasses.replace(CONFIG, excitation=0.0)
    without = dataclasses.replace(tonal, refocus_full_hz=20.0, refocus_none_hz=21.0)
    (y,), (smeared,) = (
        carrier(chord, rain, SR, config, weights=FULL) for config in (tonal, without)
    )
    assert 1 - share_near(y, 440, 554.4) < 0.8 * (1 - share_near(smeared, 440, 554.4))


def test_a_steady_envelope_is_smoothed_and_an_onset_is_not():
    rng = np.random.default_rng(0)
    envelope = np.where(np.arange(600) < 300, 1e-4, 1.0)[:, None]
    grainy = (envelope * rng.exponential(size=(600, 20))).astype("f4")
    smooth = edge_aware_smooth(grainy, dataclasses.replace(CONFIG, attack=0.025))

    def roughness(x):
        return np.std(np.log(x[400:550]), axis=0).mean()

    assert roughness(smooth) < 0.5 * roughness(grainy)
    level = smooth.mean(axis=1)
    # Half of the step is crossed within 8 frames (23 ms); a Gaussian as wide spreads it over 60.
    assert level[292] < 0.1
    assert level[308] > 0.3


def test_sharp_edges_do_not_rise_before_the_note():
    step = np.where(np.arange(600) < 300, 1e-4, 1.0)[:, None] * np.ones((1, 20), "f4")
    before, after = slice(280, 295), slice(320, 400)
    blurring = dataclasses.replace(CONFIG, attack=0.0)
    blurred, smooth = (edge_aware_smooth(step.astype("f4"), c) for c in (blurring, CONFIG))
    assert smooth[before].mean() < 0.1 * blurred[before].mean()
    np.testing.assert_allclose(smooth[after], 1, rtol=0.01)


def test_smoothing_leaves_a_constant_alone():
    constant = np.full((200, 8), 0.37, "f4")
    np.testing.assert_allclose(edge_aware_smooth(constant, CONFIG), constant, rtol=1e-5)


def test_the_target_has_the_musics_energy_and_ends_between_the_two_spectra(pair):
    music, rain = pair
    target = band_target(music, rain, SR, CONFIG)
    assert target.transfer.sum() == pytest.approx(target.music.sum(), rel=1e-4)
    bank = erb_bank(CONFIG.n_bands, CONFIG.band_n_fft, SR)
    long_term = {
        "music": np.log(target.music.mean(axis=0) + 1e-9),
        "ambience": np.log((power(rain, 512, 64) @ bank.T).mean(axis=0) + 1e-9),
        "transfer": np.log(target.transfer.mean(axis=0) + 1e-9),
    }
    whole = np.linalg.norm(long_term["ambience"] - long_term["music"])
    assert np.linalg.norm(long_term["transfer"] - long_term["ambience"]) < 0.95 * whole
    assert np.linalg.norm(long_term["transfer"] - long_term["music"]) < 0.95 * whole


def test_the_target_is_the_music_at_0_and_the_transfer_at_1(pair):
    target = band_target(*pair, SR, CONFIG)
    np.testing.assert_array_equal(target.at(even(1.0, target), CONFIG), target.transfer)
    np.testing.assert_allclose(
        target.at(even(0.0, target), CONFIG),
        target.music,
        rtol=1e-3,
        atol=2e-7 * target.music.max(),
    )


def test_little_strength_leaves_the_music_unsmoothed(pair):
    """Smoothing before there is any grain would move the texture away from the ambience."""
    target = band_target(*pair, SR, CONFIG)
    floor = 1e-7 * target.music.max()
    grain = ((target.transfer + floor) / (target.smooth_music + floor)) ** 0.4
    own = slice(target.n_own)  # above it the music is silent
    np.testing.assert_allclose(
        target.at(even(0.4, target), CONFIG)[:, own], (target.music * grain)[:, own], rtol=1e-3
    )
    smoothed = (
        target.at(even(0.9, target), CONFIG)
        / ((target.transfer + floor) / (target.smooth_music + floor)) ** 0.9
    )
    assert np.abs(smoothed - target.music).mean() > 0.05 * target.music.mean()


def test_a_silent_music_stays_silent_at_every_strength(pair):
    music, rain = pair
    half = music.copy()
    half[: len(half) // 2] = 0
    target = band_target(half, rain, SR, CONFIG)
    for weight in (0.3, 0.7, 1.0):
        silent = target.at(even(weight, target), CONFIG)[: len(target.music) // 2 - 100]
        assert silent.max() < 1e-10 * target.music.max()


def test_the_plain_share_rises_with_excitation_and_with_frequency():
    hz = np.array([100.0, 300.0, 700.0, 1500.0, 9000.0], "f4")
    shares = [
        plain_share(hz, dataclasses.replace(CONFIG, excitation=e)) for e in (0.0, 0.3, 0.6, 1.0)
    ]
    assert (shares[0] == 0).all()
    assert (shares[3] == 1).all()
    assert (np.diff(shares, axis=0) > 0).all()
    np.testing.assert_allclose(shares[1][:2], 0.3, rtol=1e-6)
    assert (np.diff(shares[1][1:4]) > 0).all()
    assert shares[1][3] == shares[1][4]


def test_excitation_takes_the_tones_out_of_the_ambience():
    chord, rain = tone(440.0) + tone(554.4), ambience("rain", 2.0, seed=0)
    shares = [
        share_near(
            carrier(chord, rain, SR, dataclasses.replace(CONFIG, excitation=e), weights=FULL)[0],
            440,
            554.4,
        )
        for e in (0.0, 0.6, 1.0)
    ]
    assert shares[0] > shares[1] > shares[2]


def test_imposing_a_target_brings_the_band_powers_to_it(pair):
    music, rain = pair
    bank = erb_bank(CONFIG.n_bands, CONFIG.band_n_fft, SR)
    goal = band_target(music, rain, SR, CONFIG).transfer

    def error_db(y):
        found = power(y, CONFIG.band_n_fft, CONFIG.band_hop_length) @ bank.T
        floor = 1e-5 * goal.max()
        return np.abs(10 * np.log10((found + floor) / (goal + floor))).mean()

    errors, y = [error_db(rain)], rain
    for _ in range(3):
        y = impose(y, goal, SR, CONFIG)
        errors.append(error_db(y))
    assert errors[1] < 0.5 * errors[0]
    assert errors[3] < errors[2] < errors[1]


def test_imposing_a_sounds_own_powers_leaves_it_as_it_is():
    y = noise(1.0)
    bank = erb_bank(CONFIG.n_bands, CONFIG.band_n_fft, SR)
    own = power(y, CONFIG.band_n_fft, CONFIG.band_hop_length) @ bank.T
    np.testing.assert_allclose(impose(y, own, SR, CONFIG), y, atol=1e-4)


def test_at_weight_0_the_carrier_is_the_music(pair):
    music, rain = pair
    (y,) = carrier(music, rain, SR, CONFIG, weights=weights(0.0))
    assert rms(y - music) < 0.01 * rms(music)


def test_the_weight_moves_from_the_music_step_by_step(pair):
    music, rain = pair
    steps = weights(0.0, 0.3, 0.6, 1.0)
    likeness = [
        np.corrcoef(y, music)[0, 1] for y in carrier(music, rain, SR, CONFIG, weights=steps)
    ]
    assert np.all(np.diff(likeness) < -0.03), likeness
    assert abs(likeness[-1]) < 0.3


def test_a_weight_gives_the_same_sound_alone_and_among_others(pair):
    alone = carrier(*pair, SR, CONFIG, weights=weights(0.5))[0]
    np.testing.assert_array_equal(carrier(*pair, SR, CONFIG, weights=weights(0.2, 0.5))[1], alone)
    np.testing.assert_array_equal(
        carrier(*pair, SR, CONFIG, weights=weights(0.5, 1.0))[1],
        carrier(*pair, SR, CONFIG, weights=FULL)[0],
    )


def test_the_music_decides_when_it_sounds():
    music = tone(880.0)
    music[: len(music) // 2] = 0
    (y,) = carrier(music, noise(), SR, CONFIG, weights=FULL)
    half = len(y) // 2
    assert rms(y[: half - SR // 10]) < 0.02 * rms(y[half:])


def test_silence_after_a_loud_sound_is_finite():
    # A running mean leaves rounding errors below zero there, whose root is not a number.
    music = tone(440.0, 1.0)
    music[SR // 2 :] = 0
    for y in (music, music[::-1].copy()):
        assert np.isfinite(excite(partials(y, CONFIG), noise(1.0), CONFIG)).all()


@pytest.mark.parametrize("duration_s", [0.05, 0.3])
def test_a_short_pair_is_finite(duration_s):
    (y,) = carrier(tone(440.0, duration_s), noise(duration_s), SR, CONFIG, weights=FULL)
    assert len(y) == round(duration_s * SR)
    assert np.isfinite(y).all()
    assert rms(y) > 0.01


def test_a_wide_gaussian_is_right_in_a_passage_80_db_down():
    x = np.random.default_rng(0).exponential(size=(3000, 4)).astype("f4")
    x[1500:] *= 1e-8
    expected = gaussian_filter1d(x.astype(float), 30, axis=0, mode="nearest")
    np.testing.assert_allclose(gaussian_along_time(x, 30), expected, rtol=1e-4)
