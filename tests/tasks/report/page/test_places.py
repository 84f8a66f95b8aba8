from pathlib import Path
from urllib.parse import unquote

import pytest

from tasks.report.page.places import (
    ambience_preview_name,
    link_to,
    music_preview_name,
    page_beside,
    url,
)


def test_a_local_input_is_linked_relative_to_a_local_output() -> None:
    assert link_to("/in/rain.wav", "/music/out") == "../../in/rain.wav"
    assert link_to("file:///music/in/a%20b.wav", "/music/out/") == "../in/a%20b.wav"


def test_relative_places_start_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert link_to("in/rain.wav", "out") == "../in/rain.wav"


def test_an_object_is_linked_from_its_own_bucket_only() -> None:
    assert link_to("s3://b/in/rain.flac", "s3://b/night/out") == "../../in/rain.flac"
    assert link_to("s3://b/rain.flac", "s3://b") == "rain.flac"
    assert link_to("s3://other/rain.flac", "s3://b/out") == ""
    assert link_to("/in/rain.wav", "s3://b/out") == ""
    assert link_to("s3://b/rain.wav", "/out") == ""


@pytest.mark.parametrize("place", ["", "/in/rain.ape", "/in/rain.wma", "/in/rain", "/in/rain.aiff"])
def test_what_no_browser_plays_is_not_linked(place: str) -> None:
    assert link_to(place, "/out") == ""


@pytest.mark.parametrize(
    "name", ["a:b.wav", "java\nscript.wav", "50%.wav", "a#b?c.wav", "\"<'>&.wav", "é\udcff.wav"]
)
def test_no_character_of_a_name_means_anything_in_a_url(name: str) -> None:
    made = url(name)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%._-~/")
    assert unquote(made, errors="surrogateescape") == name


def test_previews_differ_with_what_is_heard() -> None:
    sha256 = "ab" * 32
    names = {
        music_preview_name(sha256, 0.0, 60.0),
        music_preview_name(sha256, 1.5, 60.0),
        music_preview_name(sha256, 1.5, 2.0),
        ambience_preview_name([sha256], "cd" * 32),
        ambience_preview_name([sha256, sha256], "cd" * 32),
        ambience_preview_name([sha256, sha256], "ef" * 32),
    }
    assert len(names) == 6
    assert music_preview_name(sha256, 0.0, 60.0) == music_preview_name(sha256, 0.0, 30.0)


def test_the_page_stands_beside_its_report() -> None:
    assert page_beside("s3://b/out/results.csv") == "s3://b/out/index.html"
    assert page_beside("results.csv") == "index.html"
