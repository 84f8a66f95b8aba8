import csv
import dataclasses
import io
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from nst_core.errors import AudioError
from tasks.finished import find_finished
from tasks.invert import invert_pair
from tasks.jobs.pair import PairJob
from tasks.manifest.problems import RowProblem
from tasks.manifest.row import ManifestRow
from tasks.report.results import (
    RowResult,
    Tally,
    cached,
    failure,
    invalid,
    not_run,
    skipped,
    success,
)
from tasks.report.tables import read_report_lines, write_report
from tasks.running.workspace import Workspace
from tasks.storage.errors import LostArtefactError, StorageError
from tasks.storage.files import read_bytes
from tasks.storage.uris import join


def _row(line: int = 2, **cells: object) -> ManifestRow:
    name = f"row-{line}"
    places = {"ambience": "/in/rain.wav", "music": "/in/tune.wav", "output": f"{name}.wav"}
    return ManifestRow(line=line, id=name, **places, **cells)


def _result(line: int, status: str = "ok", **values: object) -> RowResult:
    return RowResult(line=line, id=f"row-{line}", status=status, **values)


def _written(results: list[RowResult], workspace: Workspace, folder: Path) -> list[dict[str, str]]:
    report = write_report(results, workspace, str(folder), run_id="run-1")
    assert report == str(folder / "results.csv")
    return list(csv.DictReader(io.StringIO(Path(report).read_text("utf-8"))))


def _sentence(results: list[RowResult]) -> str:
    return Tally(results).sentence()


def test_rows_are_in_the_order_of_the_manifest(workspace: Workspace, tmp_path: Path) -> None:
    rows = _written([_result(n) for n in (7, 2, 10, 3)], workspace, tmp_path / "out")
    assert [row["line"] for row in rows] == ["2", "3", "7", "10"]
    assert {row["run_id"] for row in rows} == {"run-1"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "results.csv",
        "results.parquet",
    ]


def test_the_result_of_a_rendered_row_holds_its_figures(rendered: Workspace, pair: PairJob) -> None:
    row = _row(extra={"note": "for Anna", "x_scene": "4"})
    result = success(row, pair, rendered, "ok")
    audio = rendered.store.find("audio", pair.audio.key)
    transfer = rendered.store.find("transfer", pair.transfer.key)
    assert (result.status, result.output, result.sha256) == ("ok", pair.output_uri, audio.sha256)
    facts = result.facts
    assert (facts["strength"], facts["iterations"], facts["seed"]) == (0.7, 2, 0)
    assert facts["style_loss"] == transfer.meta["style_loss"]
    levels = ("music_lufs", "loudness_lufs", "true_peak_dbtp", "limited_db")
    assert [facts[name] for name in levels] == [audio.meta[name] for name in levels]
    assert facts["transfer_seconds"] == transfer.meta["seconds"]
    assert facts["invert_seconds"] == audio.meta["seconds"]
    assert facts["music_sha256"] == pair.music.sha256
    assert (facts["note"], facts["x_scene"]) == ("for Anna", "4")
    assert facts["worker"].endswith(f":{os.getpid()}")


@pytest.mark.parametrize(("asked", "short"), [(None, False), (-30.0, False), (0.0, True)])
def test_a_row_reports_how_far_it_is_below_its_target_loudness(
    rendered: Workspace, pair: PairJob, asked: float | None, short: bool
) -> None:
    output = dataclasses.replace(pair.output, loudness_lufs=asked)
    louder = dataclasses.replace(pair, output=output)
    invert_pair(louder, rendered)
    facts = success(_row(), louder, rendered, "ok").facts
    wanted = facts["music_lufs"] if asked is None else asked
    reached = facts["loudness_lufs"] + facts["loudness_short_db"]
    assert reached == pytest.approx(wanted, abs=0.1 if not short else 0.02)
    assert (facts["loudness_short_db"] > 0.5) == short


def test_a_finished_row_is_reported_with_its_original_figures(
    rendered: Workspace, pair: PairJob
) -> None:
    finished = find_finished(pair, rendered)
    assert finished is not None
    now, then = cached(_row(), pair, finished), success(_row(), pair, rendered, "ok")
    assert now.status == "cached"
    same = {"ended_at": then.facts["ended_at"]}
    assert dataclasses.replace(now, status="ok", facts=now.facts | same) == then


def test_a_row_whose_record_is_missing_is_not_reported_as_done(
    workspace: Workspace, pair: PairJob
) -> None:
    with pytest.raises(LostArtefactError, match="run the flow again"):
        success(_row(), pair, workspace, "ok")


def test_a_failure_names_stage_code_and_reason_without_secrets() -> None:
    error = AudioError("too_short", "s3://key:secret@bucket/a.wav", "lasts 0.1 s")
    result = failure(_row(5), "mels", error)
    assert (result.line, result.id, result.status) == (5, "row-5", "failed")
    assert (result.stage, result.error_code) == ("mels", "too_short")
    assert result.error == "s3://***bucket/a.wav: lasts 0.1 s"


def test_an_unexpected_error_is_internal_and_names_its_type() -> None:
    result = failure(_row(), "transfer", ZeroDivisionError("division by zero"))
    assert result.error_code == "internal"
    assert result.error == "ZeroDivisionError: division by zero"


def test_a_row_without_an_output_has_its_inputs() -> None:
    row = _row(extra={"note": "for Anna"})
    given = {"ambience": "/in/rain.wav", "music": "/in/tune.wav", "note": "for Anna"}
    late = failure(row, "mels", AudioError("too_short", "/in/rain.wav", "lasts 0.1 s"))
    for result in (late, not_run(row), *skipped([row])):
        assert result.facts == given, result.status


def test_a_refused_row_is_one_line_with_all_its_problems() -> None:
    problems = [
        RowProblem(3, "a", "strength", "7", "is outside 0..1", "bad_value"),
        RowProblem(5, "b", "id", "b", "is already used", "duplicate_id"),
        RowProblem(3, "a", "seed", "x", "must be a number", "bad_seed"),
    ]
    first, second = invalid(problems)
    assert (first.line, first.id, first.status, first.stage) == (3, "a", "invalid", "manifest")
    assert first.error_code == "bad_value"
    assert first.error == f"{problems[0]}; {problems[2]}"
    assert (second.line, second.error_code) == (5, "duplicate_id")


def test_a_refused_row_has_its_inputs() -> None:
    cells = {"ambience": "rain.wav", "music": "../tune.wav", "note": "for Anna"}
    problem = RowProblem(3, "a", "music", "../tune.wav", "holds ..", "unsafe_path", cells)
    (result,) = invalid([problem])
    assert result.facts == cells


def test_every_status_reaches_the_report(workspace: Workspace, tmp_path: Path) -> None:
    results = [
        _result(2, "ok", output="/out/a.wav", facts={"sample_rate": 22_050, "strength": 1.0}),
        _result(3, "cached", facts={"sample_rate": 44_100, "strength": 0.5}),
        failure(_row(4), "inputs", AudioError("not_found", "/in/gone.wav", "does not exist")),
        *skipped([_row(5)]),
        *invalid([RowProblem(6, "row-6", "seed", "x", "must be a number", "bad_value")]),
        _result(7, "not_run"),
    ]
    rows = _written(results, workspace, tmp_path / "out")
    assert [row["status"] for row in rows] == [
        *("ok", "cached", "failed", "skipped", "invalid", "not_run")
    ]
    assert [row["error_code"] for row in rows] == ["", "", "not_found", "", "bad_value", ""]
    assert rows[2]["error"] == "/in/gone.wav: does not exist"


def test_gaps_do_not_change_the_type_of_numbers(workspace: Workspace, tmp_path: Path) -> None:
    facts = {"sample_rate": 22_050, "strength": 1.0, "best_iteration": 0}
    results = [_result(2, facts=facts), _result(3, "failed", facts={"strength": None})]
    good, bad = _written(results, workspace, tmp_path / "out")
    assert (good["sample_rate"], good["best_iteration"]) == ("22050", "0")
    assert good["strength"] == "1.0"
    assert (bad["sample_rate"], bad["best_iteration"], bad["strength"]) == ("", "", "")
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert str(table["sample_rate"].dtype) == "Int64"
    assert str(table["strength"].dtype) == "float64"


def test_a_catalogue_in_which_nothing_worked_has_a_report(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = _written([_result(2, "not_run"), _result(3, "skipped")], workspace, tmp_path / "out")
    assert [row["status"] for row in rows] == ["not_run", "skipped"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_in_the_csv_is_a_formula(workspace: Workspace, tmp_path: Path, start: str) -> None:
    text = f"{start}HYPERLINK(1)"
    results = [_result(2, error=text, facts={"note": text, "loudness_lufs": -14.5})]
    write_report(results, workspace, str(tmp_path / "out"))
    with (tmp_path / "out" / "results.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    shown = f"'{text}".replace("\r", "\n")
    assert (row["error"], row["note"]) == (shown, shown)
    assert row["loudness_lufs"] == "-14.5", "a number is not a formula"
    (line,) = read_report_lines(str(tmp_path / "out" / "results.csv")).splitlines()
    assert json.loads(line)["note"] == text, "nothing else needs it"


def test_parquet_and_csv_say_the_same(rendered: Workspace, pair: PairJob, tmp_path: Path) -> None:
    results = [success(_row(), pair, rendered, "ok"), _result(3, "failed", error='a, "b"\nc')]
    rows = _written(results, rendered, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert list(table.columns) == list(rows[0])
    for row, cells in zip(rows, table.to_dict("records"), strict=True):
        for name, cell in cells.items():
            expected = "" if pd.isna(cell) else str(cell)
            assert row[name] == expected, name


def test_ids_are_texts_in_the_json_lines(workspace: Workspace, tmp_path: Path) -> None:
    results = [
        dataclasses.replace(_result(2, facts={"seed": 7}), id="007"),
        dataclasses.replace(_result(3), id="NA"),
    ]
    report = write_report(results, workspace, str(tmp_path / "out"))
    first, second = [json.loads(line) for line in read_report_lines(report).splitlines()]
    assert (first["id"], first["seed"], second["id"], second["seed"]) == ("007", 7, "NA", None)


def test_a_report_goes_to_a_bucket(workspace: Workspace, bucket: str) -> None:
    report = write_report([_result(2)], workspace, join(bucket, "out"))
    assert read_bytes(report).startswith(b"id,status,verdict")
    assert json.loads(read_report_lines(report))["id"] == "row-2"


def test_a_report_that_cannot_be_written_is_a_clear_error(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        write_report([_result(2)], workspace, str(tmp_path / "file" / "out"))


def test_one_sentence_counts_the_pairs() -> None:
    well = [_result(2), _result(3, "cached"), _result(4, "cached"), _result(5, "skipped")]
    assert _sentence(well) == "3 pairs: 1 rendered, 2 already done"
    bad = [_result(6, "failed"), dataclasses.replace(_result(7, "invalid"), id="")]
    failed = "2 of 5 pairs failed: row-6, line 7"
    assert _sentence([*well, *bad]) == f"{failed}; 1 rendered, 2 already done"
    late = [*well, *bad, _result(8, "not_run")]
    late_ones = "2 of 6 pairs failed: row-6, line 7; 1 of 6 pairs not run"
    assert _sentence(late) == f"{late_ones}; 1 rendered, 2 already done"
    many = [_result(n, "failed") for n in range(2, 27)]
    assert _sentence(many).startswith("25 of 25 pairs failed: row-2, row-3, ")
    assert "row-21 and 5 more;" in _sentence(many)


def test_pairs_that_were_not_run_are_not_over() -> None:
    some = Tally([_result(2), _result(3, "failed"), _result(4, "not_run"), _result(5, "skipped")])
    assert (some.n_asked, some.n_over) == (3, 2)


def test_the_first_reasons_follow_the_sentence_and_are_short() -> None:
    assert Tally([_result(2)]).message() == "1 pair: 1 rendered, 0 already done"
    bad = [_result(n, "failed", error=f"/in/{n}.wav: does not exist") for n in range(2, 7)]
    tally = Tally([_result(7, "not_run"), *bad])
    assert tally.message().splitlines() == [
        tally.sentence(),
        "- row-2: /in/2.wav: does not exist",
        "- row-3: /in/3.wav: does not exist",
        "- row-4: /in/4.wav: does not exist",
    ]
    long = dataclasses.replace(_result(2, "invalid", error="a\n" * 300), id="")
    _, reason = Tally([long]).message().splitlines()
    assert reason.startswith("- line 2: a a ")
    assert len(reason) < 250


def test_the_sentence_counts_rows_that_are_quieter_than_they_should_be() -> None:
    short_db = (None, 0.0, 0.5, 0.6, 6.0)
    results = [_result(n, facts={"loudness_short_db": db}) for n, db in enumerate(short_db)]
    assert _sentence(results) == (
        "5 pairs: 5 rendered, 0 already done; 2 quieter than they should be (loudness_short_db)"
    )


def test_the_impression_names_the_results_that_may_not_sound_as_meant() -> None:
    assert Tally([_result(2, "failed")]).impression() == ""
    well = [_result(n, facts={"verdict": "as meant"}) for n in (2, 3)]
    assert Tally(well).impression() == "2 of 2 sound as meant"
    lost = [_result(n, facts={"verdict": "the tune is lost"}) for n in range(10, 35)]
    assert Tally([*well, lost[0]]).impression() == "2 of 3 sound as meant; listen to: row-10"
    many = Tally([*lost, *well]).impression()
    assert many.startswith("2 of 27 sound as meant; listen to: row-10, row-11, ")
    assert many.endswith("row-29 and 5 more")


@pytest.mark.parametrize(
    ("status", "well"),
    [("ok", 1), ("cached", 1), ("skipped", 1), ("failed", 0), ("invalid", 0), ("not_run", 0)],
)
def test_a_run_succeeds_when_every_selected_row_has_its_output(status: str, well: int) -> None:
    assert (Tally([_result(2), _result(3, status)]).n_bad == 0) == bool(well)
