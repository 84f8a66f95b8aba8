"""`amnst check`: what is wrong, and what a render would take."""

import json
import re
from pathlib import Path

import pytest

from tests.bad_manifests import BAD_MANIFESTS


def test_check_prints_what_is_wrong_line_by_line_and_ends_with_2(amnst, catalogue):
    first = catalogue.rows[0]
    catalogue.rows = [
        first,
        {**first, "id": "late", "music": "late.wav"},
        {**first, "id": "loud", "strength": "7"},
    ]
    code, out, err = amnst("check", catalogue.write())
    late, loud = out.splitlines()
    assert code == 2
    assert late.startswith('line 3, column "music", value "')
    assert late.endswith(": does not exist")
    assert loud.startswith('line 4, column "strength", value "7": ')
    assert "valid rows: 1, problems: 2" in err


@pytest.mark.parametrize(("text", "wanted"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_check_prints_whatever_is_wrong_in_a_manifest_on_stdout(amnst, catalogue, text, wanted):
    catalogue.manifest.write_text(text, "utf-8")
    code, out, err = amnst("check", catalogue.manifest)
    (problem,) = out.splitlines()
    assert code == 2
    for part in wanted:
        assert part in problem
    summary = err.splitlines()[0]
    assert summary.startswith(f"{catalogue.manifest}: ")
    assert summary.endswith(", problems: 1")


def test_check_says_what_a_render_would_make_and_what_is_done(
    amnst, catalogue, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    options = ("--output", catalogue.output, "--model", catalogue.model)
    code, out, err = amnst("check", catalogue.manifest, *options)
    assert (code, out) == (0, "")
    assert err.endswith("3 rows: 0 to render, 3 already done\n")
    catalogue.rows = [{**catalogue.rows[0], "strength": "0.33"}, *catalogue.rows[1:]]
    err = amnst("check", catalogue.write(), *options)[2]
    assert "3 rows: 1 to render, 2 already done; about " in err
    assert err.endswith("no estimate of the time yet: no pair has been rendered on this machine\n")
    code, out, _ = amnst("check", catalogue.manifest, *options, "--force", "--json")
    (line,) = out.splitlines()
    told = json.loads(line)
    assert (told["valid"], told["problems"], told["forecast"]["n_done"]) == (3, [], 0)


def test_a_render_teaches_check_how_long_a_pair_takes(amnst, one_pair, monkeypatch, tmp_path):
    ambience, music, *options = one_pair
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pair = ("--ambience", ambience, "--music", music, "--output", tmp_path / "out")
    assert amnst("render", *pair, *options)[0] == 0
    manifest = (tmp_path / "out" / "manifest.csv", "--input-root", Path(music).parent)
    err = amnst("check", *manifest, *options)[2]
    assert re.search(
        r"1 row: 1 to render; about \d+ s on this machine \(from 1 earlier pair\); "
        r"about \d+ kB of output and \d+ [kM]B in the store\n$",
        err,
    ), err
    err = amnst("check", *manifest, *options[:2], "--preset", "real")[2]
    assert "no pair with these settings has been rendered on this machine" in err


def test_check_opens_the_inputs_and_reads_the_sections(amnst, catalogue, tmp_path):
    first = catalogue.rows[0]
    folder = Path(catalogue.manifest).parent
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no sound at all", "utf-8")
    catalogue.rows = [
        {**first, "id": "none", "ambience": "empty.wav"},
        {**first, "id": "words", "music": "text.wav"},
        {**first, "id": "late", "start_s": "1000"},
        {**first, "id": "over", "output": first["music"]},
    ]
    manifest = catalogue.write()
    code, out, err = amnst("check", manifest, "--output", folder, "--model", catalogue.model)
    (folder / "empty.wav").unlink()
    (folder / "text.wav").unlink()
    assert code == 2
    assert len(out.splitlines()) == 4, out
    none, text, late, over = out.splitlines()
    assert none.endswith(": is empty (0 bytes); copy it again")
    assert ": is not a readable audio file" in text
    assert "but the requested section is from 1000 s; choose one inside the file" in late
    assert ": is an input of this manifest" in over
    assert "valid rows: 0, problems: 4" in err


def test_what_was_recognised_in_a_spreadsheet_is_a_note_on_stderr(amnst, render, catalogue):
    text = Path(catalogue.write()).read_text("utf-8").replace(",", "\t")
    catalogue.manifest.write_text(text, "utf-16")
    note = f"note: {catalogue.manifest} is UTF-16 with tabs\n"
    code, _, err = amnst("check", catalogue.manifest)
    assert (code, err.startswith(note)) == (0, True)
    code, _, err = render()
    assert (code, f"\n{note}" in err) == (0, True)
    assert "3 pairs: 0 rendered, 3 already done" in err


def test_check_of_a_manifest_that_is_not_there_is_a_usage_error(amnst, tmp_path):
    code, out, err = amnst("check", tmp_path / "none.csv")
    assert (code, out) == (2, "")
    assert "none.csv does not exist" in err


@pytest.mark.parametrize("command", ["check", "render"])
def test_an_input_root_that_is_not_there_is_a_usage_error(amnst, catalogue, tmp_path, command):
    output = ("--output", tmp_path / "out") if command == "render" else ()
    root = ("--input-root", tmp_path / "sonds")
    code, out, err = amnst(command, catalogue.write(), *output, *root)
    assert (code, out) == (2, "")
    assert f'input root "{tmp_path}/sonds" is not a folder' in err
    assert err.endswith("[no_input_root]\n")
