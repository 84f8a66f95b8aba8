"""Every file in any container is read completely, or refused with a code and a way out."""

import io
import struct

import av
import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.reading import read_audio
from nst_core.audio.writing import write_audio
from nst_core.config import AudioLimits
from nst_core.errors import AudioError
from tests.meters import loudest_hz

SR = 44_100
LOW, HIGH = 500.0, 1500.0
"""The first half of a sound and its second: a head or a tail that is lost shows."""
NO_HEADER = {"write_xing": "0", "id3v2_version": "0"}
VARIABLE = {"flags": "+qscale", "global_quality": "472"}


def halves(duration_s=2.0, sr=SR, channels=2):
    t = np.arange(round(duration_s * sr)) / sr
    y = 0.4 * np.sin(2 * np.pi * np.where(t < duration_s / 2, LOW, HIGH) * t)
    return np.stack([y] * channels, axis=1).astype("f4")


def wav(y, sr=SR, subtype="PCM_16", kind="WAV"):
    buffer = io.BytesIO()
    sf.write(buffer, y, sr, subtype=subtype, format=kind)
    return buffer.getvalue()


class Pipe(io.BytesIO):
    """Stream that cannot seek, so that no header can be updated."""

    def seekable(self):
        return False

    seek = None


def encoded(codec, kind, y=None, *, sr=SR, header=None, options=None, file=io.BytesIO):
    """Encode by FFmpeg."""
    y = halves(sr=sr) if y is None else y
    buffer = file()
    with av.open(buffer, "w", format=kind, container_options=header or {}) as output:
        layout = "mono" if y.shape[1] == 1 else "stereo"
        stream = output.add_stream(codec, rate=sr, layout=layout, options=options or {})
        if codec == "wmav2":
            stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(y.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = sr, 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def vorbis(tmp_path, sr=SR):
    write_audio(tmp_path / "vorbis", halves(sr=sr), sr, format="ogg")
    return (tmp_path / "vorbis").read_bytes()


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body


def riff(y, n_bits, frame_bytes, data, magic=b"RIFF", sizes=b""):
    layout = struct.pack("<HHIIHH", 1, y.shape[1], SR, SR * frame_bytes, frame_bytes, n_bits)
    return magic + b"\xff" * 4 + b"WAVE" + sizes + chunk(b"fmt ", layout) + data


def bw64():
    y = halves()
    samples = np.rint(y * 32_767).astype("<i2").tobytes()
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(samples), len(y), 0))
    return riff(y, 16, 4, b"data\xff\xff\xff\xff" + samples, b"BW64", sizes)


def twenty_bits():
    y = halves(channels=1)
    words = np.rint(y * (2**23 - 1)).astype("<i4").view("u1").reshape(-1, 4)[:, :3]
    return riff(y, 20, 3, chunk(b"data", words.tobytes()))


def id3(n):
    return b"ID3\3\0\0" + bytes([0, 0, n >> 7, n & 127]) + bytes(n)


MADE = {
    "VBR MP3 without a header": lambda: encoded(
        "libmp3lame", "mp3", header=NO_HEADER, options=VARIABLE
    ),
    "VBR MP3 with one": lambda: encoded("libmp3lame", "mp3", options=VARIABLE),
    "MP3 behind junk": lambda: (
        bytes(range(1, 200)) * 3 + encoded("libmp3lame", "mp3", header=NO_HEADER)
    ),
    "MP3 behind zeros": lambda: bytes(3000) + encoded("libmp3lame", "mp3", header=NO_HEADER),
    "MP3 behind two tags": lambda: id3(300) + id3(300) + encoded("libmp3lame", "mp3"),
    "MP3 in WAV": lambda: encoded("libmp3lame", "wav"),
    "AAC in M4A": lambda: encoded("aac", "ipod"),
    "ALAC in M4A": lambda: encoded("alac", "ipod"),
    "ALAC in CAF": lambda: encoded("alac", "caf"),
    "AAC as it is": lambda: encoded("aac", "adts"),
    "AC-3": lambda: encoded("ac3", "ac3"),
    "MP2": lambda: encoded("mp2", "mp2"),
    "WMA": lambda: encoded("wmav2", "asf"),
    "Opus in WebM": lambda: encoded("libopus", "webm", sr=48_000),
    "Opus in Ogg": lambda: encoded("libopus", "ogg", sr=48_000),
    "FLAC in Ogg": lambda: encoded("flac", "ogg"),
    "FLAC in Matroska": lambda: encoded("flac", "matroska"),
    "FLAC from a pipe": lambda: encoded("flac", "flac", file=Pipe),
    "WavPack": lambda: encoded("wavpack", "wv"),
    "TTA": lambda: encoded("tta", "tta"),
    "CAF": lambda: wav(halves(), kind="CAF"),
    "W64": lambda: wav(halves(), kind="W64"),
    "BW64": bw64,
    "PCM of 20 bits": twenty_bits,
    "GSM": lambda: wav(halves(sr=8_000, channels=1), 8_000, "GSM610"),
    "G.721": lambda: wav(halves(sr=8_000, channels=1), 8_000, "G721_32", "AU"),
    "G.723": lambda: wav(halves(sr=8_000, channels=1), 8_000, "G723_24", "AU"),
    "NMS ADPCM": lambda: wav(halves(sr=8_000, channels=1), 8_000, "NMS_ADPCM_16"),
    "WAV of no stated length": lambda: wav(halves())[:40] + bytes(4) + wav(halves())[44:],
}
PADDING_S = 0.06
"""Most padding by a codec with frames whose header does not state the number of audible ones."""
EXACT = ("with one", "two tags", "ALAC", "Opus", "FLAC", "WavPack", "TTA", "CAF",
         "W64", "BW64", "20 bits", "GSM", "no stated")  # fmt: skip


def assert_whole(audio, duration_s, *, tolerance_s=PADDING_S):
    assert len(audio.y) / audio.sr == pytest.approx(duration_s, abs=tolerance_s)
    part = round(0.8 * audio.sr)
    assert loudest_hz(audio.y[:part], audio.sr) == pytest.approx(LOW, rel=0.02)
    assert loudest_hz(audio.y[-part:], audio.sr) == pytest.approx(HIGH, rel=0.02)


@pytest.mark.parametrize("kind", MADE)
def test_a_sound_is_read_whole_whatever_its_name(tmp_path, kind):
    path = tmp_path / "sound.raw"
    path.write_bytes(MADE[kind]())
    assert_whole(read_audio(path), 2.0, tolerance_s=1e-9 if kind.endswith(EXACT) else PADDING_S)


@pytest.mark.parametrize("header", [NO_HEADER, {}], ids=["without a header", "with one"])
def test_mp3s_that_are_joined_are_read_to_the_end(tmp_path, header):
    one = encoded("libmp3lame", "mp3", header=header)
    (tmp_path / "one.mp3").write_bytes(one)
    duration_s = len(read_audio(tmp_path / "one.mp3").y) / SR
    for between in (b"", id3(300), b"TAG" + bytes(125) + id3(2000)):
        (tmp_path / "a.mp3").write_bytes(one + between + one)
        audio = read_audio(tmp_path / "a.mp3")
        assert_whole(audio, 2 * duration_s, tolerance_s=1e-9 if header else 0.11)


@pytest.mark.parametrize("second", [SR, 48_000])
def test_a_chain_of_ogg_files_is_read_to_the_end_at_the_rate_of_the_first(tmp_path, second):
    (tmp_path / "a.ogg").write_bytes(vorbis(tmp_path) + vorbis(tmp_path, second))
    audio = read_audio(tmp_path / "a.ogg")
    assert audio.sr == SR
    assert_whole(audio, 4.0, tolerance_s=1e-4)
    middle = audio.y[round(2.1 * SR) : round(2.9 * SR)]
    assert loudest_hz(middle, SR) == pytest.approx(LOW, rel=0.02)


def test_a_flac_whose_header_counts_too_few_samples_is_read_to_the_end(tmp_path):
    data = bytearray(wav(halves(5.0), kind="FLAC"))
    data[22:26] = struct.pack(">I", SR)
    (tmp_path / "a.flac").write_bytes(data)
    assert_whole(read_audio(tmp_path / "a.flac"), 5.0, tolerance_s=1e-9)


def test_tags_after_a_flac_are_not_audio(tmp_path):
    body = np.random.default_rng(0).bytes(100_000)
    foot = b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, 1, 0) + bytes(8)
    data = wav(halves(), kind="FLAC") + body + foot + b"TAG" + bytes(125)
    (tmp_path / "a.flac").write_bytes(data)
    assert_whole(read_audio(tmp_path / "a.flac"), 2.0, tolerance_s=1e-9)


def test_the_samples_of_exact_formats_are_those_of_libsndfile(tmp_path):
    y = np.random.default_rng(0).uniform(-1, 1, (SR, 2))
    for kind, subtypes in {
        "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "MS_ADPCM"),
        "AIFF": ("PCM_S8", "PCM_16", "PCM_24", "FLOAT"),
        "FLAC": ("PCM_16", "PCM_24"),
        "AU": ("PCM_16", "ALAW"),
    }.items():
        for subtype in subtypes:
            sf.write(tmp_path / "a", y, SR, subtype=subtype, format=kind)
            expected = sf.read(tmp_path / "a", dtype="float32")[0]
            np.testing.assert_array_equal(read_audio(tmp_path / "a").y, expected)


def test_ffmpegs_whole_numbers_become_the_samples_of_libsndfile(tmp_path):
    y = np.random.default_rng(0).uniform(-1, 1, (SR, 2)).astype("f4")
    sf.write(tmp_path / "a.flac", y, SR, subtype="PCM_24")
    data = bytearray((tmp_path / "a.flac").read_bytes())
    expected = read_audio(tmp_path / "a.flac").y
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # STREAMINFO states no length
    (tmp_path / "a.flac").write_bytes(data)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac").y, expected)


def refusal(path):
    with pytest.raises(AudioError, match=r"fetch it again|convert it|rewrite it") as caught:
        read_audio(path)
    assert str(caught.value).startswith(f"{path}: ")
    return caught.value.code


STATES_ITS_LENGTH = ("VBR MP3 with one", "MP3 behind two tags", "AAC in M4A", "ALAC in M4A",
    "ALAC in CAF", "Opus in WebM", "Opus in Ogg", "FLAC in Ogg", "FLAC in Matroska", "WavPack",
    "TTA", "CAF", "W64", "BW64", "PCM of 20 bits", "G.721")  # fmt: skip


@pytest.mark.parametrize("kind", STATES_ITS_LENGTH)
def test_half_a_download_is_refused(tmp_path, kind):
    data = MADE[kind]()
    (tmp_path / "half").write_bytes(data[: len(data) * 6 // 10])
    assert refusal(tmp_path / "half") in {"truncated", "corrupt"}


HOLED = ("VBR MP3 without a header", "VBR MP3 with one", "MP3 behind junk", "MP3 in WAV",
    "AAC in M4A", "ALAC in M4A", "ALAC in CAF", "AAC as it is", "AC-3", "MP2", "Opus in Ogg",
    "FLAC from a pipe", "FLAC in Ogg", "TTA", "WavPack")  # fmt: skip


@pytest.mark.parametrize("kind", HOLED)
def test_a_hole_in_encoded_sound_is_refused(tmp_path, kind):
    data = bytearray(MADE[kind]())
    data[len(data) // 2 : len(data) * 5 // 8] = bytes(len(data) * 5 // 8 - len(data) // 2)
    (tmp_path / "hole").write_bytes(data)
    assert refusal(tmp_path / "hole") in {"truncated", "corrupt"}


def test_the_empty_end_of_an_aborted_download_is_not_audio(tmp_path):
    data = encoded("libmp3lame", "mp3", header=NO_HEADER)
    (tmp_path / "a.mp3").write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    assert refusal(tmp_path / "a.mp3") == "corrupt"


@pytest.mark.parametrize("n_declared", [8192, SR * 4 - 1000])
def test_samples_that_a_wav_header_does_not_count_are_not_lost_without_a_word(tmp_path, n_declared):
    data = bytearray(wav(halves(channels=1) + 0.01))
    data[40:44] = struct.pack("<I", n_declared)
    (tmp_path / "died.wav").write_bytes(data)
    assert refusal(tmp_path / "died.wav") == "bad_length"


def test_two_chunks_of_samples_are_refused(tmp_path):
    data = wav(halves())
    (tmp_path / "two.wav").write_bytes(data + data[36:])
    assert refusal(tmp_path / "two.wav") == "bad_length"


def test_chunks_and_tags_after_the_samples_are_not_audio(tmp_path):
    y = halves()
    for tail in (chunk(b"LIST", b"INFO" * 500), b"ID3\3" + bytes(range(256)) * 4, bytes(4000)):
        (tmp_path / "a.wav").write_bytes(wav(y) + tail)
        assert_whole(read_audio(tmp_path / "a.wav"), 2.0, tolerance_s=1e-9)


def test_all_that_libsndfile_writes_is_read_whole_or_refused_by_name(tmp_path):
    sr, path = 8_000, tmp_path / "a"
    verdicts, reasons = {}, []
    for kind in sf.available_formats():
        for subtype in sf.available_subtypes(kind):
            for channels in (1, 2):
                try:
                    sf.write(path, halves(1.0, sr, channels), sr, subtype=subtype, format=kind)
                except (sf.LibsndfileError, ValueError):
                    continue  # not one of its pairs
                name = f"{kind} {subtype} {channels}"
                try:
                    audio = read_audio(path)
                except AudioError as error:
                    verdicts[name] = error.code
                    reasons.append(error.reason)
                else:
                    verdicts[name] = "ok"
                    assert len(audio.y) / audio.sr == pytest.approx(1.0, abs=0.05), name
    assert all(reason.endswith("or name another file") for reason in reasons)
    assert set(verdicts.values()) == {"ok", "not_audio", "truncated"}
    read = {name.split()[0] for name, verdict in verdicts.items() if verdict == "ok"}
    assert read >= {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"}
    assert [name for name in verdicts if name.startswith("WAV ") and verdicts[name] != "ok"] == []


def test_a_playlist_opens_no_other_file(tmp_path):
    (tmp_path / "secret.mp3").write_bytes(encoded("libmp3lame", "mp3"))
    lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", f"file://{tmp_path}/secret.mp3")
    (tmp_path / "list.m3u8").write_text("\n".join((*lines, "#EXT-X-ENDLIST", "")))
    assert refusal(tmp_path / "list.m3u8") == "not_audio"
    text = f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp3'\n"
    (tmp_path / "list.txt").write_text(text)
    assert refusal(tmp_path / "list.txt") == "not_audio"


def test_a_film_gives_its_sound(tmp_path):
    with av.open(str(tmp_path / "film.mkv"), "w") as output:
        picture = output.add_stream("mpeg4", rate=25, width=64, height=64)
        sound = output.add_stream("aac", rate=SR, layout="stereo")
        for at in range(50):
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            image.pts = at
            output.mux(picture.encode(image))
        y = halves()
        frame = av.AudioFrame.from_ndarray(y.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = SR, 0
        output.mux([*sound.encode(frame), *sound.encode(None), *picture.encode(None)])
    assert_whole(read_audio(tmp_path / "film.mkv"), 2.0)


def test_a_section_of_a_file_over_the_byte_limit_is_read(tmp_path):
    """The rest of the file is a hole, which needs no space on disk."""
    n_bytes = 3 << 30
    path = tmp_path / "night.wav"
    sizes = chunk(b"ds64", struct.pack("<QQQI", n_bytes, n_bytes, n_bytes // 4, 0))
    head = riff(halves(), 16, 4, b"data\xff\xff\xff\xff", b"RF64", sizes)
    with path.open("wb") as file:
        file.write(head + np.rint(halves() * 32_767).astype("<i2").tobytes())
        file.truncate(len(head) + n_bytes)
    assert read_audio(path, at_most_s=2.0).warnings == ("cut_at=2s",)
    assert_whole(read_audio(path, start_s=0.0, duration_s=2.0), 2.0, tolerance_s=1e-9)
    with pytest.raises(AudioError, match=r"over the limit.*read a section") as caught:
        read_audio(path, limits=AudioLimits())
    assert caught.value.code == "too_big"
