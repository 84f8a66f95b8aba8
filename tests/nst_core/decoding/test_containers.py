"""A damaged length in a header is refused as such, however large it is."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.reading import read_audio
from nst_core.errors import AudioError

SR = 44_100
HUGE = [(1 << 63) - 1, (1 << 63) - 12, 1 << 63, (1 << 64) - 9]
"""With the place of the chunk these are larger than a file's offset can be."""


def made(kind):
    buffer = io.BytesIO()
    y = 0.4 * np.sin(2 * np.pi * 500 * np.arange(SR) / SR)
    sf.write(buffer, y, SR, subtype="PCM_16", format=kind)
    return bytearray(buffer.getvalue())


def refusal(path):
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    return caught.value.code


@pytest.mark.parametrize("n_bytes", HUGE)
def test_a_w64_whose_first_chunk_is_damaged_is_refused(tmp_path, n_bytes):
    data = made("W64")
    assert data[40:44] == b"fmt "
    data[56:64] = struct.pack("<Q", n_bytes)
    (tmp_path / "a.w64").write_bytes(data)
    assert refusal(tmp_path / "a.w64") in {"not_audio", "truncated", "no_samples"}


@pytest.mark.parametrize("n_bytes", HUGE[:2])  # the others are below 0, which means unknown
@pytest.mark.parametrize("name", [b"desc", b"data"])
def test_a_caf_whose_chunk_is_damaged_is_refused(tmp_path, name, n_bytes):
    data = made("CAF")
    at = data.index(name)
    data[at + 4 : at + 12] = struct.pack(">Q", n_bytes)
    (tmp_path / "a.caf").write_bytes(data)
    assert refusal(tmp_path / "a.caf") in {"not_audio", "truncated", "no_samples"}
