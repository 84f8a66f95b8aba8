"""What a result takes from its music: rate, tags and cover, however odd they are."""

import io

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from nst_core.audio.origin import Origin, read_origin
from nst_core.audio.reading import read_audio
from nst_core.audio.writing import encode
from nst_core.decoding.isolation import end_decoders
from nst_core.decoding.tags import Cover, Tags
from nst_core.errors import AudioError

SR = 44_100
Y = (0.1 * np.random.default_rng(0).standard_normal(SR)).astype(np.float32)


def test_an_origin_survives_json():
    origin = Origin(8_000, Tags(title="ä", cover=Cover("image/png", b"\0\xff")), ("a=1",))
    assert Origin.from_json(origin.to_json()) == origin


def test_texts_are_one_line_without_control_characters(tmp_path):
    hostile = "a\nb\r\tc\x1b[31m\x07\u2028d" + "x" * 10_000
    encode(tmp_path / "x", Y, SR, format="flac", tags=Tags(title=hostile, artist="\n"))
    tags = read_origin(tmp_path / "x").tags
    assert tags.title.startswith("a b c [31m d")
    assert len(tags.title) == 500
    assert tags.artist == ""


def test_a_huge_cover_is_left_out_with_a_warning(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 255, (1_500, 1_500, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    tags = Tags(title="kept", cover=Cover("image/png", data.getvalue()))
    encode(tmp_path / "x", Y, SR, format="mp3", tags=tags)
    origin = read_origin(tmp_path / "x")
    assert origin.tags == Tags(title="kept")
    assert origin.warnings == ("cover_too_big=6MiB",)


def test_a_cover_that_is_no_picture_harms_nothing(tmp_path):
    encode(tmp_path / "x", Y, SR, format="mp3", tags=Tags(title="t", cover=Cover("a/b", b"junk")))
    origin = read_origin(tmp_path / "x")
    assert (origin.sr, origin.tags.title) == (SR, "t")
    assert len(read_audio(tmp_path / "x").y) == SR


@pytest.mark.parametrize("n_kept", [11, 30, 60])
def test_a_damaged_tag_harms_nothing(tmp_path, n_kept):
    """The tag declares more than it holds: frames of which the last is cut off."""
    encode(tmp_path / "x", Y, SR, format="mp3", tags=Tags(title="t" * 40, album="a" * 40))
    data = bytearray((tmp_path / "x").read_bytes())
    data[10 + 7] = 0x7F  # the size of the first frame
    data[n_kept : n_kept + 4] = b"\xff\0\xff\0"
    (tmp_path / "x").write_bytes(data)
    assert read_origin(tmp_path / "x").sr == SR


def test_the_rate_is_that_of_the_file(tmp_path):
    sf.write(tmp_path / "x.wav", Y, 96_000)
    assert read_origin(tmp_path / "x.wav") == Origin(96_000, Tags())


def test_a_file_that_has_changed_is_refused(tmp_path):
    sf.write(tmp_path / "x.wav", Y, SR)
    with pytest.raises(AudioError, match="sha256"):
        read_origin(tmp_path / "x.wav", sha256="0" * 64)


_ABORTING = """
import os, sys
sys.path.remove(os.path.dirname(__file__))
del sys.modules[__name__]
import av
av.open = lambda *args, **options: os.abort()
"""


def test_tags_that_crash_their_reader_leave_the_sound_alone(tmp_path, monkeypatch):
    sf.write(tmp_path / "x.wav", Y, SR)  # libsndfile decodes it, FFmpeg reads its tags
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "av.py").write_text(_ABORTING)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path / "modules")
        end_decoders()
        origin = read_origin(tmp_path / "x.wav")
        assert len(read_audio(tmp_path / "x.wav").y) == SR
    end_decoders()
    assert origin == Origin(SR, Tags(), ("tags_unreadable",))
