"""Columns of a report: declared once, and the same in the files and in the documentation."""

from pathlib import Path

import pandas as pd
from pyarrow import parquet

from tasks.jobs.pair import PairJob
from tasks.manifest.row import ManifestRow
from tasks.report.columns import COLUMNS, markdown_table
from tasks.report.results import RowResult, success
from tasks.report.tables import write_report
from tasks.running.workspace import Workspace

NAMES = [each.name for each in COLUMNS]


def test_the_table_of_the_documentation_explains_every_column() -> None:
    rows = [row.split(" | ") for row in markdown_table().splitlines()[2:]]
    assert [row[0] for row in rows] == [f"| `{name}`" for name in NAMES]
    assert all(each.help for each in COLUMNS)


def test_a_rendered_row_fills_every_column_but_those_of_a_failure(
    rendered: Workspace, pair: PairJob, tmp_path: Path
) -> None:
    row = ManifestRow(
        line=2, id="a", ambience="/in/r.wav", music="/in/t.wav", output="a.wav", extra={"x_b": "1"}
    )
    write_report([success(row, pair, rendered, "ok")], rendered, str(tmp_path), run_id="run")
    table = pd.read_parquet(tmp_path / "results.parquet")
    assert list(table.columns) == [*NAMES, "x_b"]
    assert list(table.columns[table.isna().all()]) == ["strength_over_time"]
    empty = [name for name in table.columns if str(table[name][0]) == ""]
    assert empty == ["stage", "error_code", "error", "warnings"]


def test_every_report_has_the_declared_columns_and_types(
    workspace: Workspace, tmp_path: Path
) -> None:
    some = RowResult(line=2, id="a", status="ok", facts={"seed": 7, "x_own": "007"})
    schemas = []
    for name, results in (
        ("none", []),
        ("bare", [RowResult(line=2, id="a", status="skipped")]),
        ("full", [some]),
    ):
        write_report(results, workspace, str(tmp_path / name))
        schemas.append(parquet.read_schema(tmp_path / name / "results.parquet"))
        header = (tmp_path / name / "results.csv").read_text().partition("\n")[0]
        assert header.split(",") == schemas[-1].names
    none, bare, full = schemas
    assert none.names == bare.names == NAMES
    assert full.names == [*NAMES, "x_own"]
    assert none.types == bare.types == full.types[:-1]
