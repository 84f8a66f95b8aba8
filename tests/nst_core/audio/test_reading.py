import functools
import inspect
import io
import os
import struct
import time
import tracemalloc

import numpy as np
import pyloudnorm
import pytest
import soundfile as sf

from nst_core.audio.loudness import loudness_lufs, rms, set_loudness, set_rms, to_mono
from nst_core.audio.reading import read_audio, read_long_audio
from nst_core.audio.writing import write_audio
from nst_core.config import AudioLimits
from nst_core.errors import AudioError, ConfigError, SignalError
from nst_core.streaming.resampling import resample, resampled
from tests import sounds
from tests.blocks import use_blocks
from tests.limits import full_disk

SR = 22_050

tone = functools.partial(sounds.tone, duration_s=1.0, level=0.5)
noise = functools.partial(sounds.noise, duration_s=1.0, level=0.2)


def loudest_hz(y, sr):
    return np.argmax(np.abs(np.fft.rfft(y * np.hanning(len(y))))) * sr / len(y)


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


@pytest.mark.parametrize(("sr_in", "sr_out"), [(44_100, SR), (48_000, SR), (8_000, SR), (SR, SR)])
@pytest.mark.parametrize("channels", [1, 2])
def test_resampling_in_stretches_equals_resampling_the_whole_bit_for_bit(sr_in, sr_out, channels):
    y = np.random.default_rng(0).standard_normal((2 * sr_in + 77, channels)).astype("f4")
    y = y[:, 0] if channels == 1 else y
    found = resampled(np.split(y, [1, 1000, 30_000]), sr_in, sr_out)
    np.testing.assert_array_equal(np.concatenate(list(found)), resample(y, sr_in, sr_out))


@pytest.mark.parametrize("sr_out", [8_000, 16_000, 44_100, 48_000])
def test_a_tone_keeps_its_frequency_and_level_through_resampling(sr_out):
    y = resample(tone(1000.0), SR, sr_out)
    assert len(y) == sr_out
    assert y.dtype == np.float32
    assert loudest_hz(y, sr_out) == pytest.approx(1000.0, abs=1.0)
    assert rms(y[200:-200]) == pytest.approx(0.5 / np.sqrt(2), rel=2e-3)


def test_frequencies_above_the_lower_rate_are_removed_and_not_folded_back():
    assert rms(resample(tone(9_000.0), SR, 16_000)[500:-500]) < 1e-4


def test_stereo_channels_are_resampled_apart():
    y = np.stack([tone(440.0), tone(880.0)], axis=1)
    left, right = resample(y, SR, 44_100).T
    assert loudest_hz(left, 44_100) == pytest.approx(440.0, abs=1.0)
    assert loudest_hz(right, 44_100) == pytest.approx(880.0, abs=1.0)


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


def test_a_full_scale_tone_of_997_hz_has_the_loudness_of_the_standard():
    # BS.1770-4: a 0 dBFS sine of 997 Hz in one channel reads -3.01 LUFS.
    assert loudness_lufs(
        tone(997.0, duration_s=3.0, sr=48_000, level=1.0), 48_000
    ) == pytest.approx(-3.01, abs=0.05)


def test_a_short_sound_is_as_loud_as_the_long_one_it_was_cut_from():
    y = noise(duration_s=3.0)
    assert loudness_lufs(y[:4410], SR) == pytest.approx(loudness_lufs(y, SR), abs=0.5)


@pytest.mark.parametrize("duration_s", [0.5, 3.7, 60.2])
def test_loudness_equals_pyloudnorms_for_any_block_size(monkeypatch, duration_s):
    y = np.stack([noise(duration_s=duration_s), np.roll(noise(duration_s=duration_s), 5)], axis=1)
    y[: len(y) // 3] *= 0.01
    whole = pyloudnorm.Meter(SR).integrated_loudness(y.astype(float))
    for block in (1 << 20, 7777):
        use_blocks(monkeypatch, elements=block)
        assert loudness_lufs(y, SR) == pytest.approx(whole, abs=1e-9)


def test_a_gating_block_that_is_not_complete_does_not_count():
    y = noise(duration_s=3.0)
    y[SR:] *= 5
    longer = y[: SR + round(0.09 * SR)]
    assert loudness_lufs(longer, SR) == pytest.approx(loudness_lufs(y[:SR], SR), abs=1e-9)


def test_loudness_and_level_are_set():
    assert loudness_lufs(set_loudness(noise(duration_s=2.0), SR, -23.0), SR) == pytest.approx(
        -23.0, abs=0.01
    )
    assert rms(set_rms(noise(duration_s=1.0), 0.05)) == pytest.approx(0.05, rel=1e-5)


def test_silence_has_no_loudness_to_set():
    silence = np.zeros(SR, "f4")
    assert loudness_lufs(silence, SR) == -np.inf
    with pytest.raises(SignalError, match="silent"):
        set_loudness(silence, SR, -23.0)
    with pytest.raises(SignalError, match="silent"):
        set_rms(silence)


def test_mono_is_the_mean_of_the_channels():
    y = np.stack([noise(seed=1), noise(seed=2)], axis=1)
    np.testing.assert_allclose(to_mono(y), (y[:, 0] + y[:, 1]) / 2, atol=1e-7)
    assert to_mono(y[:, 0]).shape == (SR,)
