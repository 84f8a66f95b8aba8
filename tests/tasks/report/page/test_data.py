from dataclasses import replace
from typing import Any

import pytest

from tasks.report.page import data
from tasks.report.page.data import Parts, by_column, page_rows
from tasks.report.page.places import picture_name
from tasks.report.results import RowResult
from tasks.report.tables import report_table

SHA256 = "0123456789abcdef" * 4


def result(line: int = 2, **facts: Any) -> RowResult:
    figures = {"content": 0.8, "texture": 0.7, "carrier_db": 5.0, "follow": 0.5, "strength": 0.7}
    inputs = {"ambience": "/in/rain.wav", "music": "/in/tune.mp3", "start_s": 2.0}
    hashes = {"ambience_sha256": "a" * 64, "music_sha256": "b" * 64}
    return RowResult(
        line=line,
        id=f"row-{line}",
        status="ok",
        output=f"/music/out/row {line}.wav",
        sha256=SHA256,
        facts={**figures, **inputs, **hashes, "duration_s": 8.0, **facts},
    )


def rows(*results: RowResult, **parts: Any) -> list[dict[str, Any]]:
    known = {"output_uri": "/music/out", "named": "/music/out", "files": (), "inputs": "links"}
    return page_rows(report_table(results), Parts(**{**known, **parts}))


def test_a_row_links_to_its_three_sounds_and_its_picture() -> None:
    (row,) = rows(result(), files={picture_name(SHA256)})
    assert row["result_url"] == "row%202.wav"
    assert row["ambience_url"] == "../../in/rain.wav"
    assert row["music_url"] == "../../in/tune.mp3"
    assert row["picture"] == picture_name(SHA256)


def test_what_is_not_there_is_not_linked() -> None:
    (row,) = rows(result(ambience="/in/rain.ape"), inputs="links")
    assert (row["picture"], row["ambience_url"]) == ("", "")


def test_previews_take_the_place_of_links() -> None:
    names = {"listen/" + "a" * 20 + ".mp3", "listen/" + "b" * 20 + "-2-8.mp3"}
    (row,) = rows(result(), inputs="previews", files=names)
    assert {row["ambience_url"], row["music_url"]} == names
    (ape,) = rows(result(ambience="/in/rain.ape"), inputs="links", files=names)
    assert ape["ambience_url"] == "listen/" + "a" * 20 + ".mp3"
    (none,) = rows(result(), inputs="none", files=names)
    assert (none["ambience_url"], none["music_url"]) == ("", "")
    assert none["result_url"]


def test_a_blend_is_played_from_its_own_preview() -> None:
    blended = result(ambience="/in/a.wav + /in/b.wav", ambience_sha256="a" * 64 + " + " + "c" * 64)
    name = f"listen/{SHA256[:20]}-ambience.mp3"
    assert rows(blended)[0]["ambience_url"] == ""
    assert rows(blended, files={name})[0]["ambience_url"] == name


def test_outputs_are_found_where_the_folder_is_now() -> None:
    moved = replace(result(), output="out/sub/a.wav")
    (row,) = rows(moved, named="out", output_uri="/elsewhere/out")
    assert row["result_url"] == "sub/a.wav"
    (outside,) = rows(moved, named="other")
    assert outside["result_url"] == ""


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        ({}, "meant"),
        ({"carrier_db": 2.0}, "meant"),
        ({"carrier_db": 2.0, "strength": 1.0}, "look"),
        ({"content": 0.4}, "look"),
        ({"texture": 0.4}, "meant"),
        ({"texture": 0.4, "strength": 0.9}, "look"),
        ({"texture": 0.0, "strength": 0.0}, "meant"),
        ({"content": None}, "look"),
    ],
)
def test_a_row_is_judged_by_what_its_strength_asks_for(figures: dict, state: str) -> None:
    (row,) = rows(result(**figures))
    assert row["state"] == state
    assert bool(row["doubt"]) == (state == "look")
    assert row["doubt"] in row["words"]


def test_rows_without_an_output_keep_their_reason() -> None:
    bad = RowResult(line=3, id="b", status="failed", error="it is too short", facts={"music": "m"})
    (row,) = rows(bad)
    assert (row["state"], row["error"], row["result_url"]) == ("failed", "it is too short", "")


def test_a_page_that_is_too_long_keeps_the_rows_with_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data, "MOST_ROWS", 2)
    bad = RowResult(line=9, id="b", status="failed")
    kept = rows(result(2), result(3), result(4, content=0.1), bad)
    assert [row["line"] for row in kept] == [4, 9]


def test_columns_hold_what_the_rows_held() -> None:
    given = rows(*(result(line, music=f"/in/{line % 2}.wav") for line in range(2, 12)))
    columns = by_column(given)
    assert isinstance(columns["music"], dict), "few distinct values"
    assert isinstance(columns["id"], list)
    back = {
        name: column
        if isinstance(column, list)
        else [column["distinct"][at] for at in column["at"]]
        for name, column in columns.items()
    }
    assert [
        dict(zip(back, values, strict=True)) for values in zip(*back.values(), strict=True)
    ] == given
    assert by_column([]) == {}
