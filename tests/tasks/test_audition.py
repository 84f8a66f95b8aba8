"""Plan of an audition: one section, five strengths and the other presets."""

from pathlib import Path

import pytest

from nst_core.audio.writing import write_audio
from nst_core.config import PRESETS
from nst_core.errors import AudioError
from tasks.audition import plan_audition
from tasks.manifest.reading import read_manifest
from tasks.running.workspace import Workspace
from tests.sounds import noise

SR = 8_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, seconds in {"rain": 1.0, "song": 3.0, "long": 40.0}.items():
        write_audio(tmp_path / f"{name}.wav", noise(seconds, sr=SR), SR, format="wav")
    return tmp_path


def rows(audition):
    manifest = read_manifest(audition.manifest, input_roots=audition.input_roots)
    assert manifest.problems == ()
    return manifest.rows


def test_the_default_preset_is_heard_at_five_strengths_and_the_others_at_the_full(
    folder: Path, workspace: Workspace
) -> None:
    audition = plan_audition("rain.wav", "song.wav", workspace)
    assert audition.output == str(folder / "audition" / "rain__song")
    assert [(row.preset, row.strength) for row in rows(audition)] == [
        ("real", 0), ("real", 0.25), ("real", 0.5), ("real", 0.75), ("real", 1),
        ("closed", 1), ("classifier", 1), ("mel", 1), ("original", 1),
    ]  # fmt: skip
    assert {row.preset for row in rows(audition)} == set(PRESETS)
    assert rows(audition)[1].output == "real-0.25.wav"


def test_half_a_minute_is_heard_or_as_much_as_there_is(folder: Path, workspace: Workspace) -> None:
    def section(music, **given):
        found = {(r.start_s, r.duration_s) for r in rows(plan_audition("rain.wav", music, **given))}
        assert len(found) == 1
        return found.pop()

    options = {"workspace": workspace}
    assert section("song.wav", **options) == (0, None)
    assert section("long.wav", **options) == (0, 30)
    assert section("long.wav", start_s=20.0, **options) == (20, None)
    assert section("long.wav", start_s=20.0, duration_s=5.0, **options) == (20, 5)


@pytest.mark.parametrize(("music", "code"), [("song.wav", "bad_range"), ("gone.wav", "not_found")])
def test_a_section_that_is_not_there_is_refused_before_anything_is_written(
    folder: Path, workspace: Workspace, music: str, code: str
) -> None:
    with pytest.raises(AudioError, match=music) as caught:
        plan_audition("rain.wav", music, workspace, start_s=5.0)
    assert caught.value.code == code
    assert not (folder / "audition").exists()


def test_a_format_for_all_sounds(folder: Path, workspace: Workspace) -> None:
    audition = plan_audition("rain.wav", "song.wav", workspace, output="here", format_="ogg")
    assert audition.output == str(folder / "here")
    assert {Path(row.output).suffix for row in rows(audition)} == {".ogg"}
