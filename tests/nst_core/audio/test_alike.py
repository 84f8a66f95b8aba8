"""Sounds that a listener compares: equal loudness, soft ends, different bytes."""

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.alike import shared_loudness, write_alike
from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.true_peak import true_peak_dbtp
from nst_core.errors import SignalError
from tests.sounds import SR, noise, tone


def clicks(per_s):
    y = np.zeros(4 * SR, np.float32)
    y[:: SR // per_s] = 0.9
    return y


def test_no_sound_needs_a_limiter_at_the_shared_loudness():
    sounds = [tone(440, level=0.9), noise(level=0.01), clicks(40)]
    shared = shared_loudness(sounds, SR)
    assert shared < -23
    for y in sounds:
        gain_db = shared - loudness_lufs(y, SR)
        assert true_peak_dbtp(y) + gain_db <= -1 + 1e-6


def test_sounds_without_sharp_peaks_get_the_loudness_of_programmes():
    assert shared_loudness([tone(440), noise()], SR) == -23


def test_a_silent_sound_is_refused():
    with pytest.raises(SignalError, match="silent"):
        shared_loudness([tone(440), np.zeros(SR, np.float32)], SR)


def test_files_are_as_loud_as_asked(tmp_path):
    rng = np.random.default_rng(1)
    for y in (tone(440, level=0.001), noise(level=0.5), clicks(40)):
        write_alike(tmp_path / "x.flac", y, SR, -30.0, rng)
        heard = sf.read(tmp_path / "x.flac", dtype="float32")[0]
        assert loudness_lufs(heard, SR) == pytest.approx(-30, abs=0.25)
        assert len(heard) == len(y)


def test_a_sound_of_a_few_clicks_is_refused_and_leaves_no_file(tmp_path):
    path = tmp_path / "x.flac"
    with pytest.raises(SignalError, match="denser") as caught:
        write_alike(path, clicks(1), SR, -20.0, np.random.default_rng(1))
    assert caught.value.code == "uneven_loudness"
    assert not path.exists()


def test_one_sound_gives_two_files_that_differ_inaudibly(tmp_path):
    rng = np.random.default_rng(1)
    heard = []
    for name in ("a", "b"):
        write_alike(tmp_path / name, tone(440), SR, -23.0, rng)
        heard.append(sf.read(tmp_path / name, dtype="float32")[0])
    difference = heard[0] - heard[1]
    assert difference.any()
    assert 20 * np.log10(np.std(difference)) < -90


def test_the_ends_fade_so_that_a_repetition_does_not_click(tmp_path):
    write_alike(tmp_path / "x", tone(443.7, 1.003), SR, -23.0, np.random.default_rng(1))
    y = sf.read(tmp_path / "x", dtype="float32")[0]
    assert np.abs(y[[0, -1]]).max() < 2e-4
    assert np.abs(y[SR // 2 : SR // 2 + 100]).max() > 0.05
