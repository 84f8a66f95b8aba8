"""Files as spreadsheets save them are read, and the manifest says what was recognised."""

import io
import unicodedata
from pathlib import Path

import pytest

from tasks.manifest import csv_table
from tasks.manifest.planning import write_manifest
from tasks.manifest.problems import ManifestError
from tasks.manifest.reading import Manifest, read_manifest

TEXT = "id,ambience,music,strength,note\na,rain.wav,été.wav,0.5,x\nb,rain.wav,été.wav,1,y\n"


def _read(text: str, encoding: str = "utf-8") -> Manifest:
    return read_manifest(text.encode(encoding), input_roots=["/data"])


def _swapped(separator: str) -> str:
    return TEXT.replace(",", separator)


@pytest.mark.parametrize(
    ("text", "encoding", "note"),
    [
        (_swapped(";"), "utf-8", "CSV with semicolons"),
        (_swapped(";").replace("\n", "\r\n"), "utf-8-sig", "CSV with semicolons"),
        (_swapped("\t"), "utf-16", "UTF-16 with tabs"),
        ("\ufeff" + _swapped("\t").replace("\n", "\r\n"), "utf-16-be", "UTF-16 with tabs"),
        (TEXT, "utf-16", "UTF-16"),
        (_swapped(";").replace("0.5", "0,5"), "utf-8", "CSV with semicolons and decimal commas"),
        ("sep=;\n" + _swapped(";"), "utf-8", "CSV with semicolons"),
    ],
)
def test_a_file_from_a_spreadsheet_is_read_and_the_note_names_its_form(
    text: str, encoding: str, note: str
) -> None:
    usual, found = _read(TEXT), _read(text, encoding)
    assert [(row.id, row.music, row.strength, row.extra) for row in found.rows] == [
        (row.id, row.music, row.strength, row.extra) for row in usual.rows
    ]
    assert found.problems == ()
    assert found.notes == (f"the manifest is {note}",)
    assert usual.notes == ()


@pytest.mark.parametrize("text", ["sep=,\n" + TEXT, '"sep=,"\r\n' + TEXT, "SEP=,,,,\n" + TEXT])
def test_the_line_that_names_the_separator_is_skipped(text: str) -> None:
    found = _read(text)
    assert [row.line for row in found.rows] == [3, 4]
    assert found.notes == ()


def test_the_line_of_a_problem_counts_the_line_of_the_separator() -> None:
    (problem,) = _read("sep=;\nambience;music;strength\na.wav;b.wav;7\n").problems
    assert problem.line == 3


def test_separators_left_out_at_the_end_of_a_row_mean_empty_cells() -> None:
    found = _read("id,ambience,music,strength,note\na,rain.wav,t.wav,0.5\nb,rain.wav,t.wav\n")
    assert [(row.id, row.strength, row.extra) for row in found.rows] == [
        ("a", 0.5, {"note": ""}),
        ("b", None, {"note": ""}),
    ]


def test_a_row_without_its_music_is_still_refused() -> None:
    (problem,) = _read("strength,ambience,music\n0.5,rain.wav\n").problems
    assert (problem.column, problem.rule) == ("music", "must be given")


def test_empty_columns_at_the_end_are_harmless_and_a_cell_in_one_is_not() -> None:
    found = _read("id,ambience,music,,\na,rain.wav,t.wav,,\nb,rain.wav,t.wav,,x\n")
    assert [row.id for row in found.rows] == ["a"]
    assert [problem.code for problem in found.problems] == ["row_length"]


def test_spaces_before_quotes_and_the_mark_of_dos_at_the_end_are_harmless() -> None:
    found = _read('id, "ambience", "music"\na, "rain, soft.wav", t.wav\n\x1a')
    assert str(found.rows[0].ambience) == "/data/rain, soft.wav"
    assert found.problems == ()


@pytest.mark.parametrize(
    ("column", "cell", "rule"),
    [
        ("duration_s", "1,500", "must be a number"),  # one and a half, or fifteen hundred
        ("iterations", "1,000", "must be a whole number"),
        ("loudness_lufs", "1.234,5", "must be a number"),
    ],
)
def test_a_number_that_may_have_a_comma_for_thousands_is_refused(
    column: str, cell: str, rule: str
) -> None:
    (problem,) = _read(f"ambience;music;{column}\nrain.wav;t.wav;{cell}\n").problems
    assert (problem.column, problem.value, problem.rule) == (column, cell, rule)


def test_a_decimal_comma_between_commas_is_refused() -> None:
    (problem,) = _read('ambience,music,swell\nrain.wav,t.wav,"0,5"\n').problems
    assert problem.rule == "must be a number"


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_an_accent_finds_its_file_in_either_form(tmp_path: Path, on_disk: str) -> None:
    name = unicodedata.normalize(on_disk, "été/für.wav")
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    for form in ("NFC", "NFD"):
        cell = unicodedata.normalize(form, "été/für.wav")
        text = f"ambience,music\n{cell},{cell}\n"
        (row,) = read_manifest(text.encode(), input_roots=[str(tmp_path)]).rows
        assert row.music == str(tmp_path / name)
        assert row.ambience.places == (str(tmp_path / name),)


def test_a_name_that_exists_in_both_forms_is_the_one_that_is_written(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "für.wav")).touch()
    for form in ("NFC", "NFD"):
        cell = unicodedata.normalize(form, "für.wav")
        text = f"ambience,music\n{cell},t.wav\n"
        (row,) = read_manifest(text.encode(), input_roots=[str(tmp_path)]).rows
        assert row.ambience.places == (str(tmp_path / cell),)


def test_a_file_with_semicolons_is_written_again_with_commas() -> None:
    text = io.StringIO()
    write_manifest(_read(_swapped(";")).rows, text)
    assert text.getvalue().startswith("id,ambience,music,strength,note\n")


def test_a_table_over_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ",".join(f"x_{number}" for number in range(csv_table.MAX_COLUMNS))
    with pytest.raises(ManifestError, match="202 columns, at most 200") as caught:
        _read(f"ambience,music,{columns}\na,b\n")
    assert caught.value.code == "too_many_columns"
    monkeypatch.setattr(csv_table, "MAX_ROWS", 2)
    with pytest.raises(ManifestError, match="more than 2 rows") as caught:
        _read(TEXT + "c,rain.wav,t.wav,1,z\n")
    assert caught.value.code == "too_many_rows"


def test_a_file_that_is_too_big_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        stream.truncate(csv_table.MAX_BYTES * 50)  # a hole, more than this machine's memory
    with pytest.raises(ManifestError, match=r"huge\.csv: has 10000 MiB") as caught:
        read_manifest(path)
    assert caught.value.code == "too_big"
