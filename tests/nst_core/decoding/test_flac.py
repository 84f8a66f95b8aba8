"""FLACs that are joined end to end: every sample of each, or a refusal."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.reading import read_audio
from nst_core.errors import AudioError

SR = 44_100
ID3 = b"ID3\3\0\0\0\0\7\x68" + bytes(1000)


def sound(duration_s, sr=SR):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, (round(duration_s * sr), 2))
    return np.rint(y * 32_768) / 32_768


def flac(y, sr=SR):
    buffer = io.BytesIO()
    sf.write(buffer, y, sr, subtype="PCM_16", format="FLAC")
    return buffer.getvalue()


def without_length(data):
    data = bytearray(data)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def bare(data):
    """Remove the optional metadata."""
    at, is_last = 4, False
    while not is_last:
        is_last = bool(data[at] & 0x80)
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return b"fLaC\x80" + data[5:42] + data[at:]


@pytest.mark.parametrize("duration_s", [0.05, 0.1, 0.25, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["plain", "no length", "bare"])
def test_every_sample_of_the_second_is_read_however_short_it_is(tmp_path, kind, duration_s):
    change = {"plain": bytes, "no length": without_length, "bare": bare}[kind]
    first, second = sound(2.0), sound(duration_s)
    (tmp_path / "a.flac").write_bytes(change(flac(first)) + change(flac(second)))
    np.testing.assert_array_equal(
        read_audio(tmp_path / "a.flac").y, np.concatenate([first, second])
    )


def test_three_flacs_with_tags_between_and_around_are_read_to_the_end(tmp_path):
    id3v1 = b"TAG" + bytes(125)
    body = np.random.default_rng(0).bytes(5000)
    ape = body + b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, 1, 0) + bytes(8)
    parts = [sound(1.0), sound(0.2), sound(0.5)]
    data = (ape + id3v1 + ID3).join(map(flac, parts))
    (tmp_path / "a.flac").write_bytes(ID3 + data + ape + id3v1)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac").y, np.concatenate(parts))


def test_a_second_flac_of_another_rate_gets_the_rate_of_the_first(tmp_path):
    (tmp_path / "a.flac").write_bytes(flac(sound(1.0)) + flac(sound(1.0, 48_000), 48_000))
    audio = read_audio(tmp_path / "a.flac")
    assert audio.sr == SR
    assert len(audio.y) == pytest.approx(2 * SR, abs=2)


@pytest.mark.parametrize("n_kept", [30_000, 100_000])
def test_a_second_flac_that_is_cut_off_is_refused(tmp_path, n_kept):
    one = flac(sound(2.0))
    (tmp_path / "a.flac").write_bytes(one + one[:n_kept])
    with pytest.raises(AudioError, match="fetch it again") as caught:
        read_audio(tmp_path / "a.flac")
    assert caught.value.code in {"corrupt", "truncated"}


def test_a_second_flac_that_ends_with_a_frame_too_early_is_refused(tmp_path):
    whole, short = flac(sound(2.0)), bytearray(flac(sound(1.0)))
    short[18:26] = whole[18:26]  # it declares the length of the other
    (tmp_path / "a.flac").write_bytes(whole + short)
    with pytest.raises(AudioError, match=r"declares 88200 frames.*44100.*fetch it again"):
        read_audio(tmp_path / "a.flac")
