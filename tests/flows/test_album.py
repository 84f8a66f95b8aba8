"""A catalogue as an album: its results keep the differences between their music."""

import pytest

from nst_core.audio.loudness import loudness_lufs, set_loudness
from nst_core.audio.reading import read_audio, write_audio
from nst_core.config import OutputConfig
from nst_core.synth.sounds import music_piece

SR = 22_050
LEVELS = {"loud": -14.0, "soft": -23.0}


@pytest.fixture(scope="module")
def album(make_catalogue, tmp_path_factory):
    """Two pieces that are 9 LU apart, a row with its own loudness, and two that fail."""
    catalogue = make_catalogue(tmp_path_factory.mktemp("album") / "catalogue")
    for name, lufs in LEVELS.items():
        y = set_loudness(music_piece("folk", 3.0, seed=1), SR, lufs)
        path = catalogue.root / "inputs" / f"{name}.wav"
        write_audio(path, y, SR, format="wav", subtype="FLOAT", max_peak=10.0)
    row = {"ambience": "rain.wav", "strength": "0.5", "iterations": "2"}
    catalogue.rows = (
        {"id": "loud", "music": "loud.wav", **row},
        {"id": "soft", "music": "soft.wav", **row},
        {"id": "own", "music": "soft.wav", "loudness_lufs": "-30", **row},
        {"id": "gone", "music": "gone.wav", **row},
        {"id": "text", "music": "text.wav", **row},
    )
    state = catalogue.render(sound=OutputConfig(loudness_lufs=-20.0), album=True)
    return catalogue, state


def heard_lufs(catalogue, name):
    audio = read_audio(catalogue.output / f"{name}.wav")
    return loudness_lufs(audio.y, audio.sr)


def test_the_results_keep_the_difference_and_reach_the_loudness_together(album):
    catalogue, _ = album
    loud, soft = heard_lufs(catalogue, "loud"), heard_lufs(catalogue, "soft")
    assert loud - soft == pytest.approx(9.0, abs=0.2)
    together = 10 * (10 ** (loud / 10) + 10 ** (soft / 10)) / 2
    assert together == pytest.approx(10 * 10**-2.0, rel=0.05)


def test_a_row_keeps_its_own_loudness(album):
    assert heard_lufs(album[0], "own") == pytest.approx(-30.0, abs=0.2)


def test_music_that_cannot_be_measured_fails_its_own_rows_only(album):
    catalogue, state = album
    assert state.is_failed()
    assert catalogue.statuses() == {
        "loud": "ok", "soft": "ok", "own": "ok", "gone": "failed", "text": "failed",
    }  # fmt: skip


def test_a_row_alone_gets_the_loudness_that_it_has_in_the_album(album):
    catalogue, _ = album
    before = catalogue.made()
    sound = OutputConfig(loudness_lufs=-20.0)
    assert catalogue.render(sound=sound, album=True, only=("soft",)).is_completed()
    assert catalogue.statuses()["soft"] == "cached"
    assert catalogue.made() == before


def test_without_the_option_every_result_has_the_loudness(album):
    catalogue, _ = album
    catalogue.render(sound=OutputConfig(loudness_lufs=-20.0), only=("loud", "soft"))
    for name in LEVELS:
        assert heard_lufs(catalogue, name) == pytest.approx(-20.0, abs=0.2)
