import functools
import time

import numpy as np
import pytest

from nst_core.audio.loudness import rms
from nst_core.audio.reading import read_audio
from nst_core.audio.writing import write_audio
from nst_core.errors import ConfigError, SignalError
from tests import sounds
from tests.limits import full_disk

SR = 22_050

tone = functools.partial(sounds.tone, duration_s=1.0, level=0.5)
noise = functools.partial(sounds.noise, duration_s=1.0, level=0.2)


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("wav", None, 2e-7),
        ("wav", "PCM_16", 2e-5),
        ("wav", "FLOAT", 0.0),
        ("flac", None, 2e-7),
        ("flac", "PCM_16", 2e-5),
        ("mp3", None, 0.05),
        ("ogg", None, 0.05),
    ],
)
def test_a_written_file_is_read_back_the_same(tmp_path, kind, subtype, error):
    path = tmp_path / "sound"
    y = np.stack([tone(440.0), tone(660.0, level=0.2)], axis=1)
    assert write_audio(path, y, SR, format=kind, subtype=subtype) == 1.0
    audio = read_audio(path)
    assert audio.sr == SR
    assert audio.warnings == ()
    assert audio.y.shape == y.shape
    assert np.max(np.abs(audio.y - y)) <= error


def test_equal_samples_give_equal_bytes_at_another_time(tmp_path):
    kinds = [("wav", None), ("wav", "FLOAT"), *((k, None) for k in ("flac", "mp3", "ogg", "opus"))]
    written = []
    for wait_s in (1.01, 0):  # headers hold the second
        written.append([])
        for kind, subtype in kinds:
            sr = 48_000 if kind == "opus" else SR
            write_audio(tmp_path / "x", noise(), sr, format=kind, subtype=subtype)
            written[-1].append((tmp_path / "x").read_bytes())
        time.sleep(wait_s)
    for kind, first, second in zip(kinds, *written, strict=True):
        assert first == second, kind


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg"])
def test_a_loud_signal_is_turned_down_as_a_whole_and_not_clipped(tmp_path, kind):
    y = 5.0 * noise()
    gain = write_audio(tmp_path / "loud", y, SR, format=kind)
    audio = read_audio(tmp_path / "loud")
    assert np.max(np.abs(audio.y)) <= 0.9901
    assert "clipped" not in audio.warnings
    assert np.corrcoef(audio.y, y)[0, 1] > 0.9
    assert rms(audio.y) == pytest.approx(gain * rms(y), rel=0.1)


def test_minutes_of_vorbis_are_written(tmp_path):
    y = np.tile(noise(duration_s=10.0), 18)
    write_audio(tmp_path / "long.ogg", y, SR, format="ogg")
    assert len(read_audio(tmp_path / "long.ogg").y) == len(y)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_full_disk_fails_the_write(tmp_path, kind):
    """libsndfile itself does not report it."""
    with full_disk(20_000), pytest.raises(OSError, match="too large"):
        write_audio(tmp_path / "x", noise(duration_s=10.0), SR, format=kind)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "y",
    [np.array([0.1, np.nan], "f4"), np.array([np.inf], "f4"), np.zeros(0, "f4"), np.zeros((2, 99))],
)
def test_an_unusable_signal_is_not_written(tmp_path, y):
    with pytest.raises(SignalError):
        write_audio(tmp_path / "x.wav", y, SR, format="wav")
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(("kind", "subtype"), [("aac", None), ("flac", "FLOAT"), ("ogg", "PCM_16")])
def test_an_unknown_format_or_subtype_is_refused_by_name(tmp_path, kind, subtype):
    with pytest.raises(ConfigError, match=subtype or kind):
        write_audio(tmp_path / "x", noise(), SR, format=kind, subtype=subtype)
