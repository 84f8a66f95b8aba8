"""Sounds and picture of the front page: short, small, equally loud, and made by one command."""

import pytest
from PIL import Image

from docs.site.media import DOCS, DURATION_S, SR, TITLES, make_media
from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.reading import read_audio
from nst_core.classifier.saving import load_classifier
from nst_core.runtime.tensorflow_setup import setup_tensorflow


@pytest.mark.parametrize("name", TITLES)
def test_a_sound_of_the_front_page_is_short_and_small(name):
    path = DOCS / "sounds" / f"{name}.ogg"
    assert path.stat().st_size < 150_000
    assert 6 * SR <= len(read_audio(path, sr=SR).y) <= 8 * SR


@pytest.mark.slow
def test_the_command_makes_every_sound_and_the_picture(tmp_path):
    setup_tensorflow(2)  # as all tests of this process
    make_media(tmp_path, load_classifier())
    levels = []
    for name in TITLES:
        y = read_audio(tmp_path / "sounds" / f"{name}.ogg", sr=SR).y
        assert len(y) == pytest.approx(DURATION_S * SR, abs=2)
        levels.append(loudness_lufs(y, SR))
    assert max(levels) - min(levels) < 1
    with (
        Image.open(tmp_path / "images" / "pair.png") as made,
        Image.open(DOCS / "images" / "pair.png") as shown,
    ):
        assert made.size == shown.size
