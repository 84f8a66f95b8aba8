import numpy as np
import pyloudnorm
import pytest
import soundfile as sf

from nst_core.audio.loudness import loudness_lufs, rms, set_loudness
from nst_core.audio.mastering import write_master
from nst_core.config import OutputConfig
from nst_core.errors import SignalError
from nst_core.streaming.resampling import resample
from nst_core.synth.sounds import music_piece
from tests.meters import band_noise, fine_peak_dbtp
from tests.sounds import tone

SR = 22_050


def peaky(duration_s=4.0):
    """A sound whose peaks are far above full scale once it is as loud as `music`."""
    y = 0.02 * band_noise((round(duration_s * SR),))
    y[:: SR // 9] += 0.6
    return y


@pytest.fixture(scope="module")
def music():
    return set_loudness(music_piece("rock", 4.0, seed=0), SR, -20.0)


def master(path, y, *, music=None, **output):
    """Return the reported levels, and the decoded file."""
    levels = write_master(path, y, SR, OutputConfig(**output), music=music)
    decoded, sr = sf.read(path, dtype="float64")
    assert sr == levels.sample_rate == OutputConfig(**output).file_sr(SR)
    assert len(decoded) == len(resample(y, SR, sr))
    return levels, decoded


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"subtype": "FLOAT"},
        {"format": "flac", "sample_rate": 48_000},
        {"format": "ogg"},
        {"format": "ogg", "sample_rate": 44_100},
        {"format": "mp3"},
        {"format": "mp3", "sample_rate": 44_100},
        {"format": "opus"},
        {"sample_rate": 8_000},
        {"sample_rate": 96_000},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_peaky_sound_gets_as_loud_as_its_music_below_the_ceiling(
    tmp_path, music, channels, output
):
    y, like = peaky(), music
    if channels == 2:
        y, like = (np.stack([x, 0.6 * x], axis=1) for x in (y, like))
    levels, heard = master(tmp_path / "out", y, music=like, **output)
    rate = levels.sample_rate
    wanted = pyloudnorm.Meter(SR).integrated_loudness(like.astype(float))
    reached = pyloudnorm.Meter(rate).integrated_loudness(heard)
    assert reached == pytest.approx(wanted, abs=0.5)
    assert fine_peak_dbtp(heard) < -0.85
    assert levels.music_lufs == pytest.approx(wanted, abs=0.02)
    assert levels.loudness_lufs == pytest.approx(reached, abs=0.05)
    assert levels.true_peak_dbtp == pytest.approx(fine_peak_dbtp(heard), abs=0.15)
    assert levels.limited_db > 1


@pytest.mark.parametrize("asked", [-30.0, -16.0])
def test_a_requested_loudness_overrides_the_musics(tmp_path, music, asked):
    levels, heard = master(tmp_path / "a.wav", peaky(), music=music, loudness_lufs=asked)
    reached = pyloudnorm.Meter(SR).integrated_loudness(heard)
    assert reached == pytest.approx(asked, abs=0.3)
    assert levels.loudness_lufs == pytest.approx(reached, abs=0.02)


def test_a_sound_at_its_loudness_and_below_the_ceiling_keeps_every_sample(tmp_path, music):
    levels, heard = master(tmp_path / "a.wav", music, music=music, subtype="FLOAT")
    np.testing.assert_array_equal(heard, music)
    assert levels.limited_db == 0
    assert levels.loudness_lufs == levels.music_lufs


def test_music_above_the_ceiling_is_limited_and_stays_as_loud(tmp_path, music):
    hot = music * np.float32(1.05 / np.abs(music).max())
    levels, heard = master(tmp_path / "a.wav", hot, music=hot, subtype="FLOAT")
    assert fine_peak_dbtp(heard) < -0.9
    assert levels.loudness_lufs == pytest.approx(levels.music_lufs, abs=0.2)
    untouched = np.isclose(heard / np.where(hot, hot, 1), heard[1000] / hot[1000], rtol=1e-5)
    assert untouched.mean() > 0.5, "only what is around its peaks"


def test_without_music_a_sound_keeps_its_own_loudness(tmp_path):
    y = 4 * peaky()
    levels, _ = master(tmp_path / "a.wav", y)
    assert levels.music_lufs is None
    assert levels.loudness_lufs == pytest.approx(loudness_lufs(y, SR), abs=0.2)


def test_pulses_that_cannot_be_as_loud_get_at_most_6_db_of_gain(tmp_path, music):
    pulses = 1e-4 * band_noise((4 * SR,))
    pulses[:: SR // 2] += 1.0
    levels, heard = master(tmp_path / "a.wav", pulses, music=music)
    assert levels.music_lufs - levels.loudness_lufs > 3
    assert fine_peak_dbtp(heard) < -0.9
    raised = rms(heard[5000:9000]) / rms(pulses[5000:9000])
    assert 20 * np.log10(raised) == pytest.approx(
        levels.music_lufs - loudness_lufs(pulses, SR) + 6, abs=0.1
    )


@pytest.mark.parametrize("n", [1, 2000, 8000])
def test_a_sound_shorter_than_a_gating_block_is_as_loud_as_its_music(tmp_path, music, n):
    y, like = peaky()[100 : 100 + n], music[:n] + np.float32(0.01)
    levels, heard = master(tmp_path / "a.wav", y, music=like)
    assert len(heard) == n
    if n > 1:
        assert levels.loudness_lufs == pytest.approx(levels.music_lufs, abs=0.5)


def test_silence_stays_silent_and_refuses_a_requested_loudness(tmp_path, music):
    silence = np.zeros(SR, "f4")
    levels, heard = master(tmp_path / "a.wav", silence, music=music)
    assert not heard.any()
    assert (levels.loudness_lufs, levels.true_peak_dbtp, levels.limited_db) == (-99, -99, 0)
    with pytest.raises(SignalError, match="silent"):
        master(tmp_path / "b.wav", silence, loudness_lufs=-20.0)
    quiet_music, _ = master(tmp_path / "c.wav", peaky(), music=silence)
    assert quiet_music.music_lufs == -99
    assert quiet_music.loudness_lufs == pytest.approx(loudness_lufs(peaky(), SR), abs=0.1)


@pytest.mark.parametrize("ceiling", [-9.0, 0.0])
def test_the_output_sets_the_ceiling(tmp_path, music, ceiling):
    _, heard = master(tmp_path / "a.wav", peaky(), music=music, max_true_peak_dbtp=ceiling)
    assert fine_peak_dbtp(heard) == pytest.approx(ceiling, abs=0.1)


@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg", "opus"])
def test_equal_sounds_give_equal_files(tmp_path, music, kind):
    for name in "ab":
        master(tmp_path / name, peaky(), music=music, format=kind)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("kind", "music_sr", "asked", "written"),
    [
        ("wav", 44_100, None, 44_100),
        ("wav", 96_000, None, 48_000),
        ("flac", 88_200, None, 44_100),
        ("wav", 44_100, 96_000, 96_000),
        ("mp3", 96_000, None, 48_000),
        ("mp3", 44_100, 88_200, 44_100),
        ("mp3", 44_100, 30_000, 32_000),
        ("opus", 44_100, None, 48_000),
        ("opus", 44_100, 22_050, 48_000),
    ],
)
def test_a_file_gets_the_musics_rate_where_its_format_has_it(
    tmp_path, music, kind, music_sr, asked, written
):
    output = OutputConfig(format=kind, sample_rate=asked)
    levels = write_master(tmp_path / "a", music, SR, output, music=music, music_sr=music_sr)
    info = sf.info(tmp_path / "a")
    assert info.samplerate == levels.sample_rate == written
    assert info.duration == pytest.approx(len(music) / SR, abs=1 / written)


@pytest.mark.parametrize("format_", ["wav", "flac"])
def test_the_music_itself_is_written_sample_for_sample_whatever_its_peak(tmp_path, format_):
    steps = np.round(32767 * tone(997, 1.0, level=0.999, sr=48_000)) / 32768
    music = steps.astype("f4")  # true peak above -1 dBTP
    path = tmp_path / f"copy.{format_}"
    levels = write_master(path, music, 48_000, OutputConfig(format=format_), music=music)
    y, sr = sf.read(path, dtype="float32")
    np.testing.assert_array_equal(y, music)
    assert (sr, levels.limited_db) == (48_000, 0.0)
    assert levels.true_peak_dbtp > -1
