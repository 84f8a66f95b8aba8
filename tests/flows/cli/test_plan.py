"""`amnst plan`, and rendering pairs without a manifest."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_plan_holds_every_pair_and_passes_the_check(amnst, inputs, monkeypatch, tmp_path):
    monkeypatch.chdir(shutil.copytree(inputs, tmp_path / "inputs"))
    code, out, _ = amnst("plan", "--ambience", "rain.wav", "fire.wav", "--music", "[fr]o*.wav")
    assert code == 0
    assert out.splitlines() == [
        "id,ambience,music",
        "rain__folk,rain.wav,folk.wav",
        "rain__rock,rain.wav,rock.wav",
        "fire__folk,fire.wav,folk.wav",
        "fire__rock,fire.wav,rock.wav",
    ]
    Path("manifest.csv").write_text(out, "utf-8")
    assert amnst("check", "manifest.csv")[:2] == (0, "")


def test_every_ambience_is_rendered_with_every_music_without_a_manifest(
    amnst, catalogue, inputs, monkeypatch, tmp_path
):
    monkeypatch.chdir(shutil.copytree(inputs, tmp_path / "inputs"))
    options = ("--output", "out", "--model", catalogue.model, "--preset", "closed")
    pairs = ("--ambience", "rain.wav", "--music", "[fr]o*.wav")
    code, out, err = amnst("render", *pairs, *options)
    assert (code, out) == (0, "out/results.csv\n"), err
    assert {path.name for path in Path("out").glob("*.wav")} == {"rain__folk.wav", "rain__rock.wav"}
    assert "2 pairs: 2 rendered, 0 already done" in err
    assert "2 pairs: 0 rendered, 2 already done" in amnst("render", *pairs, *options)[2]
    edited = Path("out/manifest.csv").read_bytes() + b"# mine\n"
    Path("out/manifest.csv").write_bytes(edited)
    more = ("--strength", "0", "1", "--set", "loudness_lufs=-23")
    assert amnst("render", *pairs, *options, *more)[0] == 0
    made = {path.name for path in Path("out").glob("*__?.wav")}
    assert made == {f"rain__{name}__{n}.wav" for name in ("folk", "rock") for n in (0, 1)}
    assert [path.read_bytes() for path in Path("out").glob("manifest-*.csv")] == [edited]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((), "name a manifest, before the options, or both --ambience and --music"),
        (("--music", "x.wav"), "or both --ambience and --music"),
        (("m.csv", "--music", "x.wav"), "give a manifest, or --ambience and --music"),
        (("m.csv", "--set", "seed=1"), "give a manifest, or --ambience and --music (and --set)"),
        (("m.csv", "--strength", "0", "1"), "--strength 0 1: with a manifest, one value"),
    ],
)
def test_a_render_without_pairs_or_with_two_kinds_of_them_is_refused(amnst, given, reason):
    code, out, err = amnst("render", *given, "--output", "out")
    assert (code, out) == (2, "")
    assert reason in err


def test_strengths_and_presets_multiply_the_rows_of_a_plan(amnst, inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    pairs = ("--ambience", "rain.wav", "--music", "folk.wav")
    several = ("--strength", "0.25", "1", "--preset", "real", "closed", "--set", "seed=7")
    code, out, _ = amnst("plan", *pairs, *several)
    assert (code, out.splitlines()) == (0, [
        "id,ambience,music,preset,strength,seed",
        "rain__folk__real__0.25,rain.wav,folk.wav,real,0.25,7",
        "rain__folk__real__1,rain.wav,folk.wav,real,1.0,7",
        "rain__folk__closed__0.25,rain.wav,folk.wav,closed,0.25,7",
        "rain__folk__closed__1,rain.wav,folk.wav,closed,1.0,7",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strength", "0.5", "7"), 'strength "7" is outside 0..1'),
        (("--set", "strength=1", "--strength", "0.5"), "are both given"),
        (("--set", "colour=red"), 'column "colour" is not a known column'),
    ],
)
def test_a_plan_with_a_wrong_setting_ends_with_2(amnst, inputs, monkeypatch, options, message):
    monkeypatch.chdir(inputs)
    code, out, err = amnst("plan", "--ambience", "rain.wav", "--music", "folk.wav", *options)
    assert (code, out) == (2, "")
    assert message in err


def test_a_reader_that_has_seen_enough_of_a_plan_ends_it_quietly(tmp_path):
    for number in range(4_000):
        (tmp_path / f"a quite long name of a song {number}.wav").touch()
    (tmp_path / "rain.ogg").touch()
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1; exit ${PIPESTATUS[0]}', "-",
         sys.executable, "-c", "from flows.cli.command import main; main()",
         "plan", "--ambience", "rain.ogg", "--music", "."],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (141, "id,ambience,music\n", "")


def test_a_plan_whose_pattern_matches_no_file_ends_with_2(amnst, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = amnst("plan", "--ambience", "*.wav", "--music", "*.wav")
    assert (code, out) == (2, "")
    assert 'no file matches "*.wav"' in err
