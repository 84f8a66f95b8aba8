"""The number of frames that an MP3 declares is read only in its Xing header."""

import io

import av
import numpy as np
import pytest

from nst_core.audio.reading import read_audio, read_long_audio
from nst_core.checksum import sha256_of
from nst_core.errors import AudioError

MIB = 1 << 20
"""A hashed file is kept in blocks of this size."""


def mp3(sr=44_100, layout="stereo", header=None):
    t = np.arange(2 * sr) / sr
    y = 0.3 * np.sin(2 * np.pi * 500 * t).astype("f4")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3", container_options=header or {}) as output:
        stream = output.add_stream("libmp3lame", rate=sr, layout=layout)
        channels = np.stack([y] * stream.codec_context.channels, axis=1)
        frame = av.AudioFrame.from_ndarray(channels.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = sr, 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def id3(frame_name, body):
    frame = frame_name + len(body).to_bytes(4, "big") + bytes(2) + body
    n = len(frame)
    size = bytes(n >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame


WITHOUT = {"write_xing": "0", "id3v2_version": "0"}
XING_ONLY = {"id3v2_version": "0"}


@pytest.mark.parametrize("text", ["Info: see our page", "Xing: see our page"])
@pytest.mark.parametrize("header", [WITHOUT, XING_ONLY], ids=["no Xing header", "Xing header"])
def test_words_in_a_tag_are_not_a_xing_header(tmp_path, text, header):
    tag = id3(b"COMM", b"\0eng\0" + text.encode())
    (tmp_path / "plain.mp3").write_bytes(mp3(header=header))
    (tmp_path / "tagged.mp3").write_bytes(tag + mp3(header=header))
    np.testing.assert_array_equal(
        read_audio(tmp_path / "tagged.mp3").y, read_audio(tmp_path / "plain.mp3").y
    )


def test_a_byte_order_mark_before_such_a_word_is_not_an_mpeg_frame(tmp_path):
    for n_between in (11, 19, 34):  # where a Xing header may begin, behind the mark's two bytes
        tag = id3(b"TXXX", b"\1\xff\xfe" + b"x" * n_between + b"Info: our page")
        (tmp_path / "a.mp3").write_bytes(tag + mp3(header=WITHOUT))
        assert read_audio(tmp_path / "a.mp3").y.size


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("sr", [44_100, 22_050, 11_025])
@pytest.mark.parametrize("before", [b"", bytes(range(1, 200)) * 3], ids=["", "behind junk"])
def test_a_cut_mp3_with_a_xing_header_is_refused(tmp_path, sr, layout, before):
    data = before + mp3(sr, layout, XING_ONLY)
    (tmp_path / "a.mp3").write_bytes(data)
    assert read_audio(tmp_path / "a.mp3").y.size
    (tmp_path / "half.mp3").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"declares \d+ MP3 frames.*fetch it again") as caught:
        read_audio(tmp_path / "half.mp3")
    assert caught.value.code == "truncated"


def test_a_xing_header_across_two_blocks_is_read(tmp_path):
    data = mp3(header=XING_ONLY)
    n_before = MIB - data.index(b"Info") - 2
    data = id3(b"APIC", bytes(n_before - 20)) + data
    assert data[MIB - 2 : MIB + 2] == b"Info"
    path = tmp_path / "half.mp3"
    path.write_bytes(data[: MIB + (len(data) - MIB) // 2])
    with pytest.raises(AudioError, match=r"declares \d+ MP3 frames") as caught:
        read_long_audio(path, sha256=sha256_of(path))
    assert caught.value.code == "truncated"
