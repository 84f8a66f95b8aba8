"""One call from sound files or arrays to a sound that plays and draws itself."""

import dataclasses
import io
import os
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

import nst_core
from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.reading import read_audio, write_audio
from nst_core.config import preset
from nst_core.errors import AudioError, ConfigError
from nst_core.metrics.scores import Metrics, evaluate
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.end_to_end import transfer_arrays
from nst_core.transfer.notebook import as_html
from nst_core.transfer.rendered import Rendered, transfer_style
from tests.sounds import noise

SR = 22_050
CLOSED = preset("closed")
ROOT = Path(nst_core.__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    write_audio(folder / "tune.wav", music_piece("folk", 3.0, seed=2), SR, format="wav")
    for kind, seconds in {"rain": 2.0, "wind": 2.5}.items():
        write_audio(folder / f"{kind}.wav", ambience(kind, seconds, seed=2), SR, format="wav")
    return folder


@pytest.fixture(scope="module")
def result(folder) -> Rendered:
    return transfer_style(str(folder / "tune.wav"), folder / "rain.wav", config=CLOSED)


class Page(HTMLParser):
    """Tags and text of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += f"{data}\n"

    def data(self, tag, kind):
        (uri,) = (attrs["src"] for name, attrs in self.tags if name == tag)
        assert uri.startswith(f"data:{kind};base64,"), "a notebook fetches nothing"
        return io.BytesIO(b64decode(uri.partition(",")[2]))


def test_files_and_their_arrays_give_the_same_sound(folder, result):
    music, rain = (read_audio(folder / f"{name}.wav").y for name in ("tune", "rain"))
    of_arrays = transfer_style(music, rain, sr=SR, config=CLOSED)
    np.testing.assert_array_equal(result, of_arrays)
    np.testing.assert_array_equal(result.y, transfer_arrays(music, rain, sr=SR, config=CLOSED))
    assert result.sr == SR
    assert len(result) == len(music)


def test_the_figures_are_those_of_the_result_against_what_was_used(folder, result):
    music, rain = (read_audio(folder / f"{name}.wav").y for name in ("tune", "rain"))
    assert result.metrics == evaluate(result.y, music, rain, SR)


def test_several_ambiences_are_judged_by_their_blend(folder):
    places = [folder / "rain.wav", folder / "wind.wav"]
    blend = transfer_style(folder / "tune.wav", places, config=CLOSED, strength=0)
    assert len(blend.ambience) == round(2.5 * SR)
    np.testing.assert_array_equal(blend.y, read_audio(folder / "tune.wav").y)
    assert blend.metrics.content == pytest.approx(1, abs=1e-6)


def test_music_above_48_khz_gets_a_rate_that_players_know(folder, tmp_path):
    y = music_piece("folk", 1.0, seed=3, sr=SR)
    write_audio(tmp_path / "high.wav", np.repeat(y, 4), 4 * SR, format="wav")
    result = transfer_style(tmp_path / "high.wav", folder / "rain.wav", config=CLOSED, strength=0)
    assert result.sr == 44_100
    assert result.duration_s == pytest.approx(1, abs=1e-3)


def test_rates_belong_to_arrays_and_paths_have_their_own(folder, result):
    path = folder / "tune.wav"
    with pytest.raises(ConfigError, match="sr is missing"):
        transfer_style(result.music, result.ambience)
    with pytest.raises(ConfigError, match="sr = 22050 is for arrays"):
        transfer_style(path, folder / "rain.wav", sr=SR)
    with pytest.raises(ConfigError, match="1 of the 2 sounds are paths"):
        transfer_style(path, result.ambience, sr=SR)
    with pytest.raises(AudioError, match=r"gone\.wav"):
        transfer_style(path, folder / "gone.wav")


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_saved_file_is_as_loud_as_the_music_and_nothing_else_is_left(result, tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    path.write_text("an earlier file")
    levels = result.save(path)
    heard = read_audio(path)
    music_lufs = loudness_lufs(result.music, SR)
    assert loudness_lufs(heard.y, heard.sr) == pytest.approx(music_lufs, abs=0.5)
    assert levels.music_lufs == pytest.approx(music_lufs, abs=0.01)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_saved_is_refused_with_a_reason(result, tmp_path):
    with pytest.raises(ConfigError, match=r"'o\.aac' must end in \.wav, \.flac"):
        result.save(tmp_path / "o.aac")
    with pytest.raises(ConfigError, match="there is no folder"):
        result.save(tmp_path / "no" / "o.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_plays_draws_and_tells_the_result(result):
    page = Page(result._repr_html_())
    y, sr = sf.read(page.data("audio", "audio/mpeg"))
    assert len(y) / sr == pytest.approx(result.duration_s, abs=0.1)
    with Image.open(page.data("img", "image/webp")) as picture:
        assert picture.size == (1000, 780)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 100
    for field in dataclasses.fields(Metrics):
        assert field.name in page.text
    assert f"{result.metrics.carrier_db:.2f} dB" in page.text
    assert "3.0 s, 22050 Hz, mono" in page.text


def test_of_a_long_sound_the_first_minute_is_played_and_drawn():
    y = np.stack([noise(70.0, sr=8_000)] * 2, axis=1)
    page = Page(as_html({"ambience": y, "music": y, "result": y}, 8_000, None, []))
    heard, sr = sf.read(page.data("audio", "audio/mpeg"))
    assert heard.shape[1] == 2
    assert len(heard) / sr == pytest.approx(60, abs=0.2)
    assert "70.0 s, 8000 Hz, stereo; the first 60 s are played and drawn" in page.text
    assert "too short to be measured" in page.text


def test_a_warning_about_a_file_is_shown_as_text(folder, tmp_path):
    path = tmp_path / "<b>offset.wav"
    write_audio(path, read_audio(folder / "tune.wav").y + 0.1, SR, format="wav")
    result = transfer_style(path, folder / "rain.wav", strength=0)
    assert result.warnings == (f"{path}: dc_offset=0.10",)
    page = Page(result._repr_html_())
    assert "b" not in {tag for tag, _ in page.tags}
    assert f"{path}: dc_offset=0.10" in page.text


LOUD = """
import sys
from nst_core import preset, transfer_style
config = preset(sys.argv[1])
if config.uses_network:
    config = preset(sys.argv[1], n_iterations=1)
result = transfer_style("tune.wav", "rain.wav", config=config)
print(len(result), "tensorflow" in sys.modules)
"""


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "needs_it"), [("real", False), ("classifier", True)])
def test_only_the_classifier_needs_tensorflow_and_even_then_nothing_is_said(folder, name, needs_it):
    done = subprocess.run(
        [sys.executable, "-c", LOUD, name],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == f"{3 * SR} {needs_it}\n"
    assert done.stderr == ""
