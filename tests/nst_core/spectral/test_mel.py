import functools
import warnings
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest

from nst_core.config import MelConfig
from nst_core.errors import SignalError
from nst_core.spectral.mel import (
    check_signal,
    compress,
    expand,
    mel_bank,
    n_frames,
    power_mel,
    power_mel_of_frames,
)
from nst_core.synth.sounds import ambience, music_piece
from tests import sounds

SR = 22_050
tone = functools.partial(sounds.tone, duration_s=1.0)
MEL = MelConfig()
EMPTY = [*range(0, 120, 5), 124]
FLOOR = 1e-8
"""Share of the loudest value that is added to the denominator of a relative error."""

SOUNDS = pytest.mark.parametrize(
    ("make", "kind"),
    [(music_piece, "rock"), (music_piece, "chamber"), (ambience, "rain"), (ambience, "fire")],
)


def librosa_mel(y, config=MEL):
    return librosa.feature.melspectrogram(
        y=y,
        sr=config.sr,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        power=2.0,
        pad_mode="constant",
        norm="slaney",
        htk=False,
    )


def largest_relative_error(found, expected):
    return np.max(np.abs(found - expected) / (expected + FLOOR * expected.max()))


@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
@SOUNDS
def test_it_equals_librosas_within_a_ten_thousandth(make, kind):
    y = make(kind, 2.0, seed=0)
    M = power_mel(y, MEL)
    assert M.dtype == np.float32
    assert M.min() >= 0
    assert largest_relative_error(M, librosa_mel(y)) < 1e-4


def test_other_settings_also_equal_librosa():
    config = MelConfig(sr=16_000, n_fft=512, hop_length=128, n_mels=40)
    y = music_piece("folk", 1.0, seed=0, sr=16_000)
    assert largest_relative_error(power_mel(y, config), librosa_mel(y, config)) < 1e-4


@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
def test_the_bank_equals_librosas():
    expected = librosa.filters.mel(sr=SR, n_fft=1024, n_mels=384)
    np.testing.assert_array_equal(mel_bank(MEL), expected)


def test_the_25_empty_bands_are_known_by_number_and_silent_in_noise():
    is_empty = ~mel_bank(MEL).any(axis=1)
    assert np.flatnonzero(is_empty).tolist() == EMPTY
    M = power_mel(ambience("rain", 0.5, seed=0), MEL)
    assert not M[EMPTY].any()
    assert (M[~is_empty].mean(axis=1) > 0).all()


def test_threads_that_make_the_bank_together_leave_the_filters_of_warnings_alone():
    filters = list(warnings.filters)
    for _ in range(20):
        mel_bank.cache_clear()
        with ThreadPoolExecutor(4) as threads:
            made = [threads.submit(mel_bank, MEL) for _ in range(4)]
        assert all(np.array_equal(bank.result(), mel_bank(MEL)) for bank in made)
    assert warnings.filters == filters


def test_no_band_sees_the_lowest_and_the_highest_bin():
    assert not mel_bank(MEL)[:, [0, -1]].any()


def test_a_bank_between_two_edges_sees_nothing_beyond_them():
    seen = mel_bank(MelConfig(n_mels=32), low_hz=500, high_hz=4000).any(axis=0)
    bins_hz = np.arange(513) * SR / 1024
    assert bins_hz[seen].min() > 500
    assert bins_hz[seen].max() < 4000


def test_three_seconds_are_259_frames():
    assert n_frames(66_150, MEL) == 259
    assert power_mel(tone(440, duration_s=66_150 / SR), MEL).shape == (384, 259)


@pytest.mark.parametrize("n", [1, 255, 256, 1023, 22_051])
def test_the_predicted_frame_count_is_the_real_one(n):
    assert power_mel(tone(440, duration_s=n / SR), MEL).shape[1] == n_frames(n, MEL)


@pytest.mark.parametrize("hz", [250.0, 1000.0, 5000.0])
def test_a_tone_is_loudest_in_the_band_that_holds_it(hz):
    mel_hz = librosa.mel_frequencies(386, fmin=0, fmax=SR / 2)
    loudest = power_mel(tone(hz), MEL)[:, 20].argmax()
    # The main lobe is four bins wide: an area-normalised neighbour may win by a bin.
    assert mel_hz[loudest] - SR / 1024 < hz < mel_hz[loudest + 2] + SR / 1024


def test_white_noise_is_flat_where_bands_hold_several_bins():
    noise = np.random.default_rng(0).standard_normal(5 * SR).astype("f4")
    level = power_mel(noise, MEL).mean(axis=1)[250:380]
    assert level.std() < 0.08 * level.mean()


def test_twice_the_amplitude_is_four_times_the_power():
    y = music_piece("folk", 1.0, seed=0)
    np.testing.assert_allclose(power_mel(2 * y, MEL), 4 * power_mel(y, MEL), rtol=1e-6)


@pytest.mark.parametrize("frames", [slice(0, 9), slice(3, 50), slice(60, 87), slice(0, 87)])
def test_the_mel_of_some_frames_is_that_part_of_the_whole(frames):
    y = music_piece("folk", 1.0, seed=0)
    part = power_mel_of_frames(y, frames, MelConfig())
    np.testing.assert_array_equal(part, power_mel(y, MelConfig())[:, frames])


def test_compression_is_undone_and_turns_the_axes_once():
    M = power_mel(music_piece("rock", 1.0, seed=0), MEL)
    u = compress(M)
    assert u.shape == (1, M.shape[1], 384)
    np.testing.assert_allclose(u[0, 30], np.log1p(1e4 * M[:, 30]), rtol=1e-6)
    assert largest_relative_error(expand(u), M) < 2e-5
    assert expand(u)[M == 0].max() == 0


def test_silence_is_zero():
    assert not power_mel(np.zeros(5000, "f4"), MEL).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_waveform_with_nan_or_infinity_is_refused_with_the_count(bad):
    y = tone(440)
    y[7] = bad
    with pytest.raises(SignalError, match="1 NaN or infinite samples of 22050") as caught:
        power_mel(y, MEL)
    assert caught.value.code == "non_finite"


@pytest.mark.parametrize("y", [np.zeros(0, "f4"), np.zeros((100, 2), "f4"), np.float32(1)])
def test_a_waveform_of_another_shape_is_refused(y):
    with pytest.raises(SignalError, match=r"\(n_samples,\)") as caught:
        check_signal(y)
    assert caught.value.code == "bad_signal"
