import dataclasses
import functools

import librosa
import numpy as np
import pytest

from nst_core.config import InversionConfig, MelConfig
from nst_core.errors import SignalError
from nst_core.spectral.mel import mel_bank, power_mel
from nst_core.spectral.mel_inversion import mel_to_audio, mel_to_magnitude
from nst_core.spectral.phase import phase_from_magnitude
from nst_core.spectral.stft import istft, stft
from nst_core.synth.sounds import ambience, music_piece
from tests import sounds

SR = 22_050
tone = functools.partial(sounds.tone, duration_s=1.0)
MEL = MelConfig()
FAST = InversionConfig()


def magnitude(y):
    return np.abs(stft(y, 1024, 256))


def loudest_hz(y):
    return np.argmax(np.abs(np.fft.rfft(y * np.hanning(len(y))))) * SR / len(y)


def convergence_db(S, goal):
    """Spectral convergence: distance over the size of the goal, lower is better."""
    return 20 * np.log10(np.linalg.norm(S - goal) / np.linalg.norm(goal))


def round_trip(y, inversion=FAST, **options):
    return mel_to_audio(power_mel(y, MEL), MEL, inversion, n_samples=len(y), **options)


@pytest.mark.parametrize("hz", [220.0, 440.0, 1000.0, 2500.0, 6000.0])
def test_a_tone_comes_back_at_its_frequency_and_level(hz):
    y = round_trip(tone(hz))
    width = np.maximum(SR / 1024, 0.01 * hz)
    assert loudest_hz(y) == pytest.approx(hz, abs=width)
    inner = slice(2048, -2048)
    level_db = 20 * np.log10(np.std(y[inner]) / np.std(tone(hz)[inner]))
    assert abs(level_db) < 0.5


@pytest.mark.parametrize("make", [music_piece, ambience])
def test_the_mel_and_the_level_of_a_sound_survive(make):
    kind = {music_piece: "rock", ambience: "rain"}[make]
    y = make(kind, 2.0, seed=0)
    M, M_back = power_mel(y, MEL), power_mel(round_trip(y), MEL)
    error_db = 20 * np.log10(np.linalg.norm(np.sqrt(M_back) - np.sqrt(M)) / np.sqrt(M.sum()))
    assert error_db < -15
    assert abs(10 * np.log10(M_back.sum() / M.sum())) < 0.3


def test_silence_gives_zeros():
    y = mel_to_audio(np.zeros((384, 40), "f4"), MEL, FAST)
    assert y.shape == (39 * 256,)
    assert not y.any()


def test_silence_inside_a_sound_stays_silent():
    y = np.concatenate(
        [tone(440, duration_s=8192 / SR), np.zeros(16_384, "f4"), tone(440, duration_s=8192 / SR)]
    )
    assert np.abs(round_trip(y)[10_240:22_528]).max() < 1e-4


@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
@pytest.mark.parametrize("kind", ["chamber", "rock"])
def test_it_converges_further_than_librosa(kind):
    y = music_piece(kind, 1.5, seed=0)
    M = power_mel(y, MEL)
    # What librosa's mel_to_audio does, but for the seed, which it does not take.
    S = librosa.feature.inverse.mel_to_stft(M, sr=SR, n_fft=1024)
    theirs = librosa.griffinlim(
        S, n_iter=32, hop_length=256, length=len(y), pad_mode="constant", random_state=0
    )
    goal = magnitude(y)
    ours_db = convergence_db(magnitude(round_trip(y)), goal)
    assert ours_db < convergence_db(magnitude(theirs), goal) - 0.3
    assert ours_db < -14


@pytest.mark.parametrize("n_iterations", [0, 1, 12])
@pytest.mark.parametrize("chunk_frames", [16, 50, 172, 173])
def test_chunks_are_the_whole_track_bit_for_bit(n_iterations, chunk_frames):
    y = music_piece("electronic", 2.0, seed=0)
    whole = InversionConfig(n_iterations=n_iterations, chunk_frames=1 << 16)
    chunked = dataclasses.replace(whole, chunk_frames=chunk_frames)
    np.testing.assert_array_equal(round_trip(y, chunked), round_trip(y, whole))


def test_two_threads_and_a_second_run_change_no_bit():
    y = music_piece("folk", 3.0, seed=0)
    inversion = InversionConfig(chunk_frames=32)
    once = round_trip(y, inversion)
    np.testing.assert_array_equal(round_trip(y, inversion, n_threads=2), once)
    np.testing.assert_array_equal(round_trip(y, inversion), once)


def test_more_steps_come_closer_to_the_given_spectrum():
    M = power_mel(music_piece("chamber", 1.5, seed=1), MEL)
    goal = mel_to_magnitude(M, MEL)
    errors_db = [
        convergence_db(magnitude(mel_to_audio(M, MEL, InversionConfig(n_iterations=n))), goal)
        for n in (0, 2, 12, 32)
    ]
    assert np.all(np.diff(errors_db) < -0.2), errors_db


@pytest.mark.parametrize("n_samples", [None, 0, 1, 5000, 9983, 9984, 10_300, 20_000])
def test_any_length_can_be_requested(n_samples):
    y = tone(440, duration_s=9984 / SR)
    found = mel_to_audio(power_mel(y, MEL), MEL, FAST, n_samples=n_samples)
    assert len(found) == (9984 if n_samples is None else n_samples)
    assert not found[9984 + 512 :].any()
    if n_samples not in (0, 1):
        assert np.std(found[1024:4096]) == pytest.approx(0.0707, rel=0.1)


def test_a_single_frame_has_no_length_of_its_own():
    assert len(mel_to_audio(np.ones((384, 1), "f4"), MEL, FAST)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(bad):
    M = power_mel(tone(440), MEL)
    M[100, 10] = bad
    with pytest.raises(SignalError, match="NaN or infinity") as caught:
        mel_to_audio(M, MEL, FAST)
    assert caught.value.code == "non_finite"


@pytest.mark.parametrize("shape", [(383, 10), (384, 0), (384,), (1, 10, 384)])
def test_a_mel_of_another_shape_is_refused(shape):
    with pytest.raises(SignalError, match="384"):
        mel_to_audio(np.ones(shape, "f4"), MEL, FAST)


def test_the_magnitude_explains_the_mel_it_was_made_from():
    M = power_mel(music_piece("rock", 1.0, seed=0), MEL)
    S = mel_to_magnitude(M, MEL)
    explained = mel_bank(MEL) @ (S**2).T
    assert np.linalg.norm(explained - M) < 0.02 * np.linalg.norm(M)
    assert S.min() >= 0


def test_more_updates_explain_the_mel_better():
    M = power_mel(music_piece("rock", 1.0, seed=0), MEL)
    bank = mel_bank(MEL)
    errors = [
        np.linalg.norm(bank @ (mel_to_magnitude(M, MEL, n_updates=n) ** 2).T - M)
        for n in (1, 3, 10, 30)
    ]
    assert np.all(np.diff(errors) < 0)


def test_low_bins_are_recovered_and_the_two_unseen_ones_get_half_their_neighbour():
    y = music_piece("chamber", 1.0, seed=0)
    S, goal = mel_to_magnitude(power_mel(y, MEL), MEL), magnitude(y)
    assert convergence_db(S[:, 1:100], goal[:, 1:100]) < -20
    np.testing.assert_array_equal(S[:, 0], 0.5 * S[:, 1])
    np.testing.assert_array_equal(S[:, -1], 0.5 * S[:, -2])


def test_the_phase_of_a_tone_advances_by_its_frequency():
    hz = 1000.0
    S = magnitude(tone(hz))
    k = S[40].argmax()
    phase = phase_from_magnitude(S, 256)
    steps = np.diff(phase[10:-10, k].astype(float))
    expected = 2 * np.pi * hz * 256 / SR
    wrapped = np.angle(np.exp(1j * (steps - expected)))
    assert np.abs(wrapped).max() < 0.15


@pytest.mark.parametrize("kind", ["chamber", "rock"])
def test_an_estimated_phase_is_worth_many_times_a_random_one(kind):
    y = music_piece(kind, 1.5, seed=0)
    S = magnitude(y)
    phase = phase_from_magnitude(S, 256)
    chance = np.random.default_rng(0).uniform(0, 2 * np.pi, S.shape)

    def consistency_db(angle):
        return convergence_db(
            magnitude(istft((S * np.exp(1j * angle)).astype("c8"), 256, len(y))), S
        )

    assert consistency_db(phase) < consistency_db(chance) - 6


def test_a_click_is_put_at_its_place_by_the_phase_alone():
    y = np.zeros(SR, "f4")
    y[10_000] = 1
    S = magnitude(y)
    D = (S * np.exp(1j * phase_from_magnitude(S, 256))).astype("c8")
    back = istft(D, 256, SR)
    assert np.abs(np.abs(back).argmax() - 10_000) < 64
    assert np.sum(back[9_900:10_100] ** 2) > 0.8 * np.sum(back**2)


def test_phases_lie_between_0_and_2_pi_and_repeat():
    S = magnitude(music_piece("folk", 1.0, seed=0))
    phase = phase_from_magnitude(S, 256)
    assert phase.dtype == np.float32
    assert phase.min() >= 0
    assert phase.max() <= 2 * np.pi + 1e-5
    np.testing.assert_array_equal(phase_from_magnitude(S, 256), phase)
