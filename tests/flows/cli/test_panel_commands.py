"""`amnst panel`: what it prints, its exit codes, and the way out of a wrong command."""

import json
from pathlib import Path

import pytest

from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import ambience, music_piece
from tests.panels import fake_key, listener, write_panel

KEY = fake_key(3)


@pytest.fixture(autouse=True)
def own_store(monkeypatch, tmp_path):
    """Use a store and a scratch folder of the test's own."""
    monkeypatch.setenv("AMNST_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("AMNST_STORE_URI", str(tmp_path / "store"))


@pytest.mark.heavy
def test_a_manifest_becomes_a_test_and_its_bad_row_is_told(amnst, tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    write_audio(inputs / "tune.wav", music_piece("folk", 2.0, seed=1), 22_050, format="wav")
    write_audio(inputs / "rain.wav", ambience("rain", 2.0, seed=1), 22_050, format="wav")
    manifest = inputs / "m.csv"
    manifest.write_text(
        "id,ambience,music,preset\ngood,rain.wav,tune.wav,closed\nbad,rain.wav,,closed\n", "utf-8"
    )
    output = tmp_path / "out"
    code, out, err = amnst("panel", manifest, "--output", output, "--strengths", "0.6", "1")
    assert (code, out) == (1, f"{output}/page/index.html\n")
    assert 'left out: line 3, column "music"' in err
    assert "1 of 1: good" in err
    assert f"hand out: {output}/page\n" in err
    assert f"keep to yourself: {output}/key.json\n" in err
    key = json.loads((output / "key.json").read_text("utf-8"))
    assert {"ours_0.6", "ours_1"} < set(key["conditions"])
    assert not list(output.glob(".panel-*"))
    code, out, err = amnst("panel", manifest, "--output", output)
    assert (code, out) == (2, "")
    assert "[panel_exists]" in err


def test_answers_are_counted_and_a_bad_file_is_told(amnst, tmp_path):
    sent = [listener(KEY, number) for number in range(6)]
    key, files = write_panel(tmp_path, KEY, sent)
    code, out, err = amnst("panel", "--score", *files, "--key", key)
    assert (code, err) == (0, "")
    assert out.startswith("3 pairs, 6 listeners\n\nIs the tune there?\n")
    Path(files[0]).write_text("{", "utf-8")
    code, fewer, err = amnst("panel", "--score", *files, "--key", key)
    assert code == 1
    assert fewer.startswith("3 pairs, 5 listeners\n")
    assert err.startswith(f"not counted: {files[0]}: ")
    assert err.endswith("[bad_answers]\n")


def test_the_result_is_one_json_object(amnst, tmp_path):
    key, files = write_panel(tmp_path, KEY, [listener(KEY, number) for number in range(3)])
    code, out, _ = amnst("panel", "--score", *files, "--key", key, "--json")
    assert code == 0
    assert set(json.loads(out)["questions"]) == {"tune", "material", "pleasant"}


def test_without_a_countable_file_or_listener_nothing_is_a_success(amnst, tmp_path):
    key, files = write_panel(tmp_path, KEY, [listener(KEY, 1, missed={"tune": 3})])
    code, out, _ = amnst("panel", "--score", *files, "--key", key)
    assert code == 1
    assert "nobody is left" in out
    Path(files[0]).write_text("{}", "utf-8")
    code, out, err = amnst("panel", "--score", *files, "--key", key)
    assert (code, out) == (2, "")
    assert "[not_answers]" in err


def test_the_key_of_the_current_folder_is_the_default(amnst, tmp_path, monkeypatch):
    _, files = write_panel(tmp_path, KEY, [listener(KEY, 1)])
    monkeypatch.chdir(tmp_path)
    assert amnst("panel", "--score", *files)[0] == 0
    (tmp_path / "key.json").unlink()
    code, _, err = amnst("panel", "--score", *files)
    assert code == 2
    assert "--key" in err
    assert "[no_key]" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--output", "out"], "--ready-made"),
        (["m.csv", "--ready-made", "--output", "out"], "--ready-made"),
        (["--ready-made"], "--output"),
        (["m.csv", "--output", "out", "--score", "a.json"], "--score"),
        (["--ready-made", "--output", "out", "--strengths", "0"], "above 0"),
        (["gone.csv", "--output", "out"], "gone.csv"),
    ],
)
def test_a_wrong_command_names_the_way_out(amnst, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = amnst("panel", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert not (tmp_path / "out").exists()
