"""Tags and covers, written into each format and read by FFmpeg."""

import io

import av
import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from nst_core.audio.origin import read_origin
from nst_core.audio.reading import read_audio
from nst_core.audio.writing import encode
from nst_core.config import SUBTYPES
from nst_core.decoding.tags import Cover, Tags

SR = 48_000
TEXTS = {
    "title": "Tëst ä",
    "artist": "日本 & Söhne",
    "album": "An album",
    "track": "3/12",
    "date": "2019-05-01",
    "genre": "Field recording, ü",
    "comment": "AM-NST: rain.wav plays tune.mp3, strength 0.7",
}


def sound(channels=2):
    rng = np.random.default_rng(1)
    return (0.1 * rng.standard_normal((SR + 77, channels))).astype(np.float32)


def picture(kind="JPEG", side=300):
    """A picture of noise: it does not compress, so its size is that of its pixels."""
    pixels = np.random.default_rng(2).integers(0, 255, (side, side, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return Cover(f"image/{kind.lower()}", data.getvalue())


@pytest.mark.parametrize("kind", list(SUBTYPES))
@pytest.mark.parametrize(
    "cover", [None, picture(), picture("PNG", 500)], ids=["none", "jpeg", "png"]
)
def test_tags_and_cover_come_back_and_change_no_sample(tmp_path, kind, cover):
    tags = Tags(**TEXTS, cover=cover)
    for name, with_tags in (("plain", Tags()), ("tagged", tags)):
        encode(tmp_path / name, sound(), SR, format=kind, tags=with_tags)
    assert read_origin(tmp_path / "tagged").tags == tags
    plain, tagged = (read_audio(tmp_path / name) for name in ("plain", "tagged"))
    np.testing.assert_array_equal(tagged.y, plain.y)
    assert tagged.y.shape == sound().shape
    np.testing.assert_array_equal(sf.read(tmp_path / "tagged")[0], sf.read(tmp_path / "plain")[0])


@pytest.mark.parametrize("kind", list(SUBTYPES))
def test_another_reader_finds_the_picture_itself(tmp_path, kind):
    cover = picture()
    encode(tmp_path / "x", sound(), SR, format=kind, tags=Tags(title="x", cover=cover))
    with av.open(str(tmp_path / "x")) as container:
        (stream,) = container.streams.video
        frame = next(container.decode(stream))
    assert (frame.width, frame.height) == (300, 300)


@pytest.mark.parametrize("kind", list(SUBTYPES))
def test_equal_tags_give_equal_bytes(tmp_path, kind):
    for name in "ab":
        encode(tmp_path / name, sound(), SR, format=kind, tags=Tags(**TEXTS, cover=picture()))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("kind", list(SUBTYPES))
def test_a_file_without_tags_has_none(tmp_path, kind):
    encode(tmp_path / "x", sound(), SR, format=kind)
    assert read_origin(tmp_path / "x").tags == Tags()


@pytest.mark.parametrize("n", range(250, 262))
def test_a_comment_of_any_length_keeps_an_ogg_file_whole(tmp_path, n):
    """A packet whose length is a multiple of 255 ends with an empty segment."""
    cover = Cover("image/png", bytes(n))
    encode(tmp_path / "x", sound(1), SR, format="opus", tags=Tags(cover=cover))
    encode(tmp_path / "y", sound(1), SR, format="ogg", tags=Tags(cover=cover))
    for name in "xy":
        assert len(read_audio(tmp_path / name).y) == SR + 77
