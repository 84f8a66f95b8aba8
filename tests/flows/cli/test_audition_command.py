"""`amnst audition`: one pair in several ways, and the page that opens."""

import shutil
from pathlib import Path

import pytest

from tasks.report.tables import read_report
from tests.command_line import main


@pytest.fixture
def audition(prefect, environment, inputs, tmp_path, monkeypatch, capfd):
    """Run `amnst audition` in a folder with sounds; return exit code, stdout and stderr."""
    monkeypatch.chdir(shutil.copytree(inputs, tmp_path / "inputs"))
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\nprintf "%s" "$1" > opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")

    def run(*arguments):
        capfd.readouterr()
        with environment(tmp_path), pytest.raises(SystemExit) as caught:
            main(["audition", *arguments])
        return caught.value.code or 0, *capfd.readouterr()

    return run


@pytest.mark.slow
def test_a_pair_is_rendered_in_nine_ways_on_a_page_that_opens(audition):
    code, out, err = audition("rain.wav", "folk.wav", "--duration", "1.5")
    folder = Path("audition/rain__folk").resolve()
    assert (code, out) == (0, f"{folder}/index.html\n"), err
    assert f"listen: {folder}/index.html\n" in err
    assert Path("opened").read_text() == (folder / "index.html").as_uri()
    report = read_report(str(folder)).to_pandas()
    assert list(report["status"]) == ["ok"] * 9
    assert list(report["duration_s"]) == [1.5] * 9
    assert list(report["strength"]) == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert report["sha256"].nunique() == 9
    page = (folder / "index.html").read_text("utf-8")
    for name in report["output"]:
        assert f'"{Path(name).name}"' in page


def test_a_sound_that_cannot_be_read_ends_the_command_and_opens_nothing(audition):
    code, out, err = audition("rain.wav", "text.wav", "--output", "here")
    assert (code, out) == (2, "")
    assert "text.wav" in err
    assert not Path("opened").exists()
    assert not Path("here").exists()


def test_the_page_can_stay_closed(audition):
    code, _, err = audition("text.wav", "folk.wav", "--duration", "1", "--no-open")
    assert code == 1, "the page of an unusable ambience says why"
    assert "text.wav" in err
    assert not Path("opened").exists()
