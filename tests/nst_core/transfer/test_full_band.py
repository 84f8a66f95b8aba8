"""Inside and out at the music's own rate: what is above 11 kHz, and what strength 0 returns."""

import functools

import numpy as np
import pytest

from nst_core.audio.loudness import set_rms
from nst_core.config import MelConfig, StrengthCurve, preset
from nst_core.config.rates import kept_rate, work_rate
from nst_core.config.weights import Weights
from nst_core.transfer.analysis import analyse
from nst_core.transfer.blending import blend
from nst_core.transfer.end_to_end import transfer_arrays
from nst_core.transfer.mel_gain import apply_mel_gain
from tests.sounds import noise, rms, tone

SR = 44_100
CLOSED = preset("closed")
transferred = functools.partial(transfer_arrays, config=CLOSED, strength=1.0)


def share_above_11_khz(y, sr=SR):
    power = np.abs(np.fft.rfft(y)) ** 2
    return power[np.fft.rfftfreq(len(y), 1 / sr) > 11_025].sum() / power.sum()


def melody(sr=SR, duration_s=3.0):
    notes = [tone(hz, duration_s / 3, level=0.3, sr=sr) for hz in (440, 660, 550)]
    return np.concatenate(notes)


@pytest.mark.parametrize(
    ("sr", "kept", "inside"),
    [
        (8_000, 8_000, 48_000),
        (22_050, 22_050, 44_100),
        (44_100, 44_100, 44_100),
        (48_000, 48_000, 48_000),
        (88_200, 44_100, 44_100),
        (96_000, 48_000, 48_000),
        (37_800, 37_800, 44_100),
    ],
)
def test_a_sound_keeps_its_rate_up_to_that_of_its_family(sr, kept, inside):
    assert (kept_rate(sr), work_rate(sr)) == (kept, inside)


def test_the_result_has_the_ambiences_energy_above_11_khz():
    music, rain = melody(), noise(3.0, sr=SR)
    found = share_above_11_khz(transferred(music, rain, sr=SR))
    assert 10 * np.log10(found / share_above_11_khz(rain)) == pytest.approx(0, abs=2)


def test_an_ambience_without_energy_above_11_khz_adds_none():
    dull = np.repeat(noise(3.0), 2)  # images above 11 kHz, removed next
    spectrum = np.fft.rfft(dull)
    spectrum[np.fft.rfftfreq(len(dull), 1 / SR) > 10_000] = 0
    dull = np.fft.irfft(spectrum).astype("f4")
    assert share_above_11_khz(transferred(melody(), dull, sr=SR)) < 1e-3


@pytest.mark.parametrize("sr", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_at_strength_0_the_music_comes_back_bit_for_bit_at_its_rate(sr, offset):
    music = melody(sr) + np.float32(offset)
    np.testing.assert_array_equal(
        transfer_arrays(music, noise(2.0, sr=sr), sr=sr, strength=0.0, config=CLOSED), music
    )


@pytest.mark.parametrize("sr", [8_000, 22_050, 48_000, 96_000])
def test_the_result_has_the_musics_length_and_level_at_any_rate(sr):
    music = melody(sr)
    y = transferred(music, noise(2.0, sr=sr), sr=sr)
    assert len(y) == len(music)
    assert rms(y) == pytest.approx(rms(music), rel=0.01)


def test_music_and_ambience_may_have_different_rates():
    mel = MelConfig()
    low = analyse(noise(2.0, seed=1, sr=24_000), mel, name="wind", sr=24_000)
    high = analyse(noise(1.0, seed=2, sr=48_000), mel, name="rain", sr=48_000)
    both = blend([low, high], (0.5, 0.5), mel)
    assert both.sr == 48_000
    assert len(both.y) == 2 * 48_000


def test_a_mel_gain_reaches_the_same_bands_at_each_rate():
    mel = MelConfig()
    gain_db = np.zeros((300, mel.n_mels), "f4")
    gain_db[:, 200:] = -20.0
    levels = []
    for sr in (22_050, 44_100, 48_000):
        y = noise(3.0, sr=sr)
        heard = apply_mel_gain(y, gain_db, mel, weights=Weights(StrengthCurve.of(1.0), sr))
        hz = np.fft.rfftfreq(len(y), 1 / sr)
        change = np.abs(np.fft.rfft(heard)) ** 2, np.abs(np.fft.rfft(y)) ** 2
        bands = [(hz > 500) & (hz < 1500), (hz > 6000) & (hz < 10_000), (hz > 12_000)]
        levels.append(
            [10 * np.log10(change[0][b].sum() / change[1][b].sum()) for b in bands if b.any()]
        )
    np.testing.assert_allclose(levels[1][:2], levels[0], atol=0.3)
    np.testing.assert_allclose(levels[2][:2], levels[0], atol=0.3)
    np.testing.assert_allclose([levels[1][2], levels[2][2]], -20, atol=0.5)


def test_a_strength_that_rises_over_time_moves_from_the_music_to_the_ambience():
    music = np.tile(tone(440, 1.0, level=0.3, sr=SR), 6)
    y = transfer_arrays(music, noise(3.0, sr=SR), sr=SR, config=CLOSED, strength="1:0;5:1")
    likeness = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(np.split(y, 6), np.split(music, 6), strict=True)
    ]
    assert likeness[0] > 0.95
    assert abs(likeness[5]) < 0.4
    assert np.all(np.diff(likeness) < 0.1), likeness


def test_a_constant_curve_is_the_same_as_its_number():
    music, rain = melody(), noise(3.0, sr=SR)
    np.testing.assert_array_equal(
        transfer_arrays(music, rain, sr=SR, config=CLOSED, strength="0:0.6;2:0.6"),
        transfer_arrays(music, rain, sr=SR, config=CLOSED, strength=0.6),
    )


def test_wet_0_is_the_music_and_wet_1_the_transfer():
    music, rain = melody(), noise(3.0, sr=SR)
    likeness = []
    for wet in (0.0, 0.3, 0.6, 1.0):
        y = transferred(music, rain, sr=SR, config=preset("closed", wet=wet))
        likeness.append(np.corrcoef(y, music)[0, 1])
        assert rms(y) == pytest.approx(rms(music), rel=1e-3)
    assert likeness[0] == pytest.approx(1)
    assert np.all(np.diff(likeness) < -0.05), likeness


def test_a_stereo_ambience_gives_its_own_side_to_the_result():
    both = np.stack([melody(), 0.6 * melody()[::-1]], axis=1)
    wide, narrow = noise(3.0, seed=1, sr=SR), noise(3.0, seed=2, sr=SR)
    left_right = np.stack([wide + narrow, wide - narrow], axis=1)
    y = transferred(both, left_right, sr=SR)
    of_mono = transferred(both, set_rms(wide), sr=SR)
    assert y.shape == both.shape
    assert rms(y - of_mono) > 0.1 * rms(y)


def test_below_full_strength_the_ambience_above_the_music_grows_with_the_strength():
    music, rain = melody(), noise(3.0, sr=SR)
    shares = [
        share_above_11_khz(transfer_arrays(music, rain, sr=SR, config=CLOSED, strength=strength))
        for strength in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert np.all(np.diff(shares) > 0), shares
