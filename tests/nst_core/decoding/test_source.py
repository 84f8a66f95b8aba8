"""A decoder reads the same bytes from a hashed file as from one that is not hashed."""

import io
import struct

import numpy as np
import soundfile as sf

from nst_core.audio.reading import read_long_audio
from nst_core.checksum import sha256_of
from nst_core.decoding.source import Source

SR = 44_100
MIB = 1 << 20
"""A hashed file is kept in blocks of this size."""


def flac(y):
    buffer = io.BytesIO()
    sf.write(buffer, y, SR, subtype="PCM_16", format="FLAC")
    return buffer.getvalue()


def noise(n_frames):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (n_frames, 2))


def few_steps(n_frames):
    """A square wave with a step at each FLAC frame: seconds of it need a few hundred bytes."""
    y = np.where(np.arange(n_frames) // 4096 % 2, 0.5, -0.5)
    return np.stack([y, y], axis=1)


def assert_same_if_hashed(path):
    found = read_long_audio(path).y[:]
    np.testing.assert_array_equal(read_long_audio(path, sha256=sha256_of(path)).y[:], found)
    return found


def test_a_read_across_blocks_returns_all_requested_bytes(tmp_path):
    data = np.random.default_rng(0).bytes(34 * MIB + 5)  # of the last ones digests are kept
    path = tmp_path / "long"
    path.write_bytes(data)
    with path.open("rb") as file:
        source = Source(file.fileno(), "long")
        for _ in range(2):
            for at, n_bytes in ((MIB - 3, 10), (5, 3 * MIB), (33 * MIB - 1, MIB + 2)):
                assert source.read_at(at, n_bytes) == data[at : at + n_bytes]
            assert source.read_at(34 * MIB - 1, 100) == data[-6:]
            assert source.read_at(len(data), 1) == b""
            source.identify(lambda: None)


def test_joined_flacs_are_read_to_the_end_if_the_second_begins_behind_a_block(tmp_path):
    first, second = flac(noise(283_000)), flac(few_steps(2 * SR))
    # libFLAC reads 64 KiB ahead: here to the end, from before the first block's.
    assert MIB < len(first) < len(first + second) < MIB + (1 << 16)
    path = tmp_path / "joined.flac"
    path.write_bytes(first + second)
    assert len(assert_same_if_hashed(path)) == 283_000 + 2 * SR


def test_an_ape_tag_across_two_blocks_is_not_audio(tmp_path):
    sound = flac(few_steps(SR))
    body = bytes(MIB + 10 - 32 - len(sound))
    foot = b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, 1, 0) + bytes(8)
    path = tmp_path / "tagged.flac"
    path.write_bytes(sound + body + foot)
    assert len(assert_same_if_hashed(path)) == SR
