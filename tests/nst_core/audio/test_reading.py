import functools
import inspect
import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.loudness import rms
from nst_core.audio.reading import read_audio, read_long_audio
from nst_core.audio.writing import write_audio
from nst_core.config import AudioLimits
from nst_core.errors import AudioError
from tests import sounds
from tests.meters import loudest_hz

SR = 22_050

tone = functools.partial(sounds.tone, duration_s=1.0, level=0.5)

noise = functools.partial(sounds.noise, duration_s=1.0, level=0.2)


def wav_bytes(y, sr=SR, subtype="PCM_16", kind="WAV"):
    buffer = io.BytesIO()
    sf.write(buffer, y, sr, subtype=subtype, format=kind)
    return bytearray(buffer.getvalue())


def refusal(path, **options):
    with pytest.raises(AudioError) as caught:
        read_audio(path, **options)
    assert str(path) in str(caught.value)
    return caught.value.code


def test_long_files_are_read_with_the_same_parameters_and_defaults():
    of_long = dict(inspect.signature(read_long_audio).parameters)
    assert {of_long.pop("scratch").default, of_long.pop("sha256").default} == {None}
    expected = inspect.signature(read_audio).parameters
    assert {n: p.default for n, p in of_long.items()} == {n: p.default for n, p in expected.items()}


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_section_is_the_same_samples_as_in_the_whole(tmp_path, kind):
    path = tmp_path / "whole"
    write_audio(path, noise(duration_s=15.0), SR, format=kind)
    part = read_audio(path, start_s=12.1, duration_s=1.5).y
    start = round(12.1 * SR)
    np.testing.assert_array_equal(part, read_audio(path).y[start : start + round(1.5 * SR)])


@pytest.mark.parametrize(
    "section",
    [
        {"start_s": 1.5},
        {"start_s": 0.5, "duration_s": 0.6},
        {"start_s": -0.1},
        {"duration_s": 0.0},
        {"start_s": float("nan")},
    ],
)
def test_a_section_outside_the_file_is_refused(tmp_path, section):
    write_audio(tmp_path / "a.wav", noise(duration_s=1.0), SR, format="wav")
    assert refusal(tmp_path / "a.wav", **section) == "bad_range"


def test_a_section_up_to_the_last_sample_is_read(tmp_path):
    write_audio(tmp_path / "a.wav", noise(duration_s=1.0), SR, format="wav")
    assert len(read_audio(tmp_path / "a.wav", start_s=0.5, duration_s=0.5).y) == SR // 2


def test_reading_resamples_and_mixes_to_mono(tmp_path):
    y = np.stack([tone(500.0, sr=48_000), np.zeros(48_000, "f4")], axis=1)
    write_audio(tmp_path / "a.flac", y, 48_000, format="flac")
    audio = read_audio(tmp_path / "a.flac", sr=SR, mono=True)
    assert audio.y.shape == (SR,)
    assert loudest_hz(audio.y, SR) == pytest.approx(500.0, abs=1.0)
    assert np.max(audio.y) == pytest.approx(0.25, rel=0.01)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "RF64"])
def test_half_a_download_is_truncated(tmp_path, kind):
    data = wav_bytes(noise(duration_s=2.0), kind=kind)
    (tmp_path / "whole").write_bytes(data)
    assert len(read_audio(tmp_path / "whole").y) == 2 * SR
    (tmp_path / "half").write_bytes(data[: len(data) // 2])
    assert refusal(tmp_path / "half") == "truncated"


def test_half_a_flac_is_truncated(tmp_path):
    data = wav_bytes(noise(duration_s=5.0), kind="FLAC")
    (tmp_path / "half.flac").write_bytes(data[: len(data) // 2])
    assert refusal(tmp_path / "half.flac") == "truncated"


@pytest.mark.parametrize("declared", [0xFFFF_FFFF, 0x7FFF_F000])
def test_a_streaming_writers_unknown_length_is_read_to_the_end(tmp_path, declared):
    data = wav_bytes(noise(duration_s=1.0))
    data[40:44] = struct.pack("<I", declared)
    (tmp_path / "pipe.wav").write_bytes(data)
    assert len(read_audio(tmp_path / "pipe.wav").y) == SR


@pytest.mark.parametrize("rate", [0, 1, 7_999, 400_000, 2**31])
def test_an_absurd_rate_is_refused_before_anything_is_resampled(tmp_path, rate):
    data = wav_bytes(noise(duration_s=1.0))
    data[24:28] = struct.pack("<I", rate)
    (tmp_path / "bomb.wav").write_bytes(data)
    assert refusal(tmp_path / "bomb.wav", sr=SR) == "bad_rate"


def test_seven_bit_pcm_is_refused_by_name(tmp_path):
    data = wav_bytes(noise(duration_s=1.0))
    data[34:36] = struct.pack("<H", 7)
    (tmp_path / "odd.wav").write_bytes(data)
    with pytest.raises(AudioError, match="7-bit"):
        read_audio(tmp_path / "odd.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_one_impossible_sample_is_found(tmp_path, bad):
    y = noise(duration_s=1.0)
    y[12_345] = bad
    (tmp_path / "bad.wav").write_bytes(wav_bytes(y, subtype="FLOAT"))
    assert refusal(tmp_path / "bad.wav") == "non_finite"


@pytest.mark.parametrize(
    ("y", "code"),
    [
        (np.zeros(SR, "f4"), "silent"),
        (np.full(SR, 0.3, "f4"), "silent"),
        (noise(duration_s=0.1), "too_short"),
        (np.zeros(0, "f4"), "no_samples"),
        (np.tile(noise(duration_s=1.0)[:, None], 9), "channels"),
    ],
)
def test_a_file_without_usable_sound_says_why(tmp_path, y, code):
    (tmp_path / "a.wav").write_bytes(wav_bytes(y))
    assert refusal(tmp_path / "a.wav") == code


def test_stereo_that_cancels_is_silent_in_mono_only(tmp_path):
    y = noise(duration_s=1.0)
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.stack([y, -y], axis=1), subtype="FLOAT"))
    assert read_audio(tmp_path / "a.wav").warnings == ("mono_cancels",)
    assert refusal(tmp_path / "a.wav", mono=True) == "silent"


def test_a_listener_is_warned_of_what_is_odd_but_usable(tmp_path):
    y = np.clip(5.0 * noise(duration_s=1.0) + 0.1, -1.0, 1.0)
    (tmp_path / "a.wav").write_bytes(wav_bytes(y, sr=11_025))
    names = {name.split("=")[0] for name in read_audio(tmp_path / "a.wav", sr=SR).warnings}
    assert names == {"dc_offset", "clipped", "low_rate"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"This is not a sound.\n" * 50, "not_audio"),
        (b"\0\0\0\x20ftypM4A " + bytes(200), "corrupt"),
        (b"MThd\0\0\0\x06" + bytes(200), "unsupported_format"),
        (b"PK\x03\x04" + bytes(200), "unsupported_format"),
        (b"RIFF\x24\0\0\0WAVE", "not_audio"),
        (b"RIFF" + b"\xff" * 400, "not_audio"),
    ],
)
def test_what_is_not_audio_is_refused_with_a_stable_code(tmp_path, content, code):
    (tmp_path / "a.wav").write_bytes(content)
    assert refusal(tmp_path / "a.wav") == code


@pytest.mark.parametrize("content", [b"This is not a sound.\n" * 50, b"RIFF" + b"\xff" * 400])
def test_what_is_not_audio_is_refused_with_a_way_out(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match="with ffmpeg to WAV, AIFF, AU, FLAC, OGG or MP3"):
        read_audio(tmp_path / "a.wav")


def test_a_missing_file_a_folder_and_a_pipe_are_distinguished(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert refusal(tmp_path / "pipe.wav") == "not_a_file"
    assert refusal(tmp_path) == "not_a_file"
    assert refusal(tmp_path / "none.wav") == "not_found"
    assert refusal(tmp_path / "a.wav" / "b.wav") == "not_found"
    assert refusal(f"{tmp_path}/nul\0.wav") == "not_found"


def test_a_header_that_promises_terabytes_allocates_nothing(tmp_path):
    data = wav_bytes(noise(duration_s=1.0), kind="FLAC")
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4  # 2**36 - 1 samples in STREAMINFO
    (tmp_path / "bomb.flac").write_bytes(data)
    tracemalloc.start()
    code = refusal(tmp_path / "bomb.flac")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "too_long"
    assert peak < 20 << 20


def test_a_small_file_that_unpacks_to_too_much_is_refused(tmp_path):
    (tmp_path / "bomb.flac").write_bytes(wav_bytes(np.full((SR * 20, 8), 0.1, "f4"), kind="FLAC"))
    assert refusal(tmp_path / "bomb.flac", limits=AudioLimits(max_bytes=5 << 20)) == "too_big"
    assert refusal(tmp_path / "bomb.flac", limits=AudioLimits(max_duration_s=19.0)) == "too_long"


def test_a_section_of_a_file_over_the_limit_is_read(tmp_path):
    write_audio(tmp_path / "long.flac", noise(duration_s=20.0), SR, format="flac")
    limits = AudioLimits(max_duration_s=10.0)
    assert (
        len(read_audio(tmp_path / "long.flac", start_s=5, duration_s=2, limits=limits).y) == 2 * SR
    )
    assert refusal(tmp_path / "long.flac", start_s=9, duration_s=2, limits=limits) == "too_long"


def test_every_file_of_the_damaged_corpus_gets_a_verdict(shared_data):
    files = sorted(path for path in (shared_data / "bad").rglob("*") if path.is_file())
    verdicts = {}
    for path in files:
        tracemalloc.start()
        try:
            audio = read_audio(path)
            verdicts[path.name] = "ok"
            assert np.isfinite(audio.y).all()
        except AudioError as error:
            verdicts[path.name] = error.code
        assert tracemalloc.get_traced_memory()[1] < 64 << 20, path
        tracemalloc.stop()
    assert verdicts["02 - wrong maximum framesize.flac"] == "ok"
    assert verdicts["04 - wrong number of channels.flac"] == "corrupt"
    assert verdicts["oom-48ae4cd061ff8578ad3f23dc87624bd365cf5216.wav"] == "not_audio"
    assert set(verdicts.values()) <= {
        *("ok", "not_audio", "unsupported_format", "bad_rate", "truncated", "corrupt"),
        *("too_short", "too_long", "non_finite"),
    }


def test_real_recordings_are_read(shared_data):
    for path in sorted((shared_data / "ambience").glob("*.ogg"))[:4]:
        assert rms(read_audio(path, sr=SR, mono=True).y) > 1e-4
