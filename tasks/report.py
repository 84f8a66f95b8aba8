"""The report: one row per manifest row, in its order, and nothing left out.

Rows go through a file on disk: a report of 100,000 costs no more memory than one of ten.
"""

import io
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from tasks.caching import Workspace
from tasks.files import join, publish, read_bytes
from tasks.results import RowResult

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_CHUNK = 1_000
_ARROW = {"str": pa.string(), "Int64": pa.int64(), "boolean": pa.bool_(), "float64": pa.float64()}


def write_report(
    results: Iterable[RowResult], workspace: Workspace, output_uri: str, *, run_id: str = ""
) -> str:
    """Write ``results.csv`` and ``results.parquet``; return where the CSV is.

    In the CSV a text that a spreadsheet would take for a formula gets a leading ``'``.
    Of two results of one line the later one counts.
    """
    with workspace.scratch_folder() as folder:
        with closing(_Sorted(folder / "rows.sqlite")) as rows:
            for result in results:
                rows.add(result)
            _write_tables(rows, folder, run_id)
        for name in ("results.parquet", "results.csv"):
            publish(folder / name, join(output_uri, name))
    return join(output_uri, "results.csv")


class _Sorted:
    """Results on disk, by line, and the type of each of their columns."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE result (line INTEGER PRIMARY KEY, text TEXT)")
        self._types: dict[str, set[type]] = {}

    def add(self, result: RowResult) -> None:
        for name, cell in _flat(result).items():
            self._types.setdefault(name, set()).add(type(cell))
        self._database.execute(
            "INSERT OR REPLACE INTO result VALUES (?, ?)", (result.line, result.to_json())
        )

    def column_types(self) -> dict[str, str]:
        return {name: _column_type(types) for name, types in self._types.items()}

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        cursor = self._database.execute("SELECT text FROM result ORDER BY line")
        while chunk := list(islice(cursor, _CHUNK)):
            yield [_flat(RowResult.from_json(text)) for (text,) in chunk]

    def close(self) -> None:
        self._database.close()


def _flat(result: RowResult) -> dict[str, Any]:
    columns: dict[str, Any] = dict(vars(result))
    facts: dict[str, Any] = columns.pop("facts")
    return columns | facts


def _column_type(types: set[type]) -> str:
    """A gap must not turn a column of integers into floats: 22050.0 Hz."""
    known = types - {type(None)}
    if not known or not known <= {bool, int, float}:
        return "str"
    return "boolean" if known == {bool} else "Int64" if known == {int} else "float64"


def _write_tables(rows: _Sorted, folder: Path, run_id: str) -> None:
    types = {**rows.column_types(), "run_id": "str"}
    schema = _arrow(_frame([], types), types).schema
    with (
        parquet.ParquetWriter(folder / "results.parquet", schema) as writer,
        (folder / "results.csv").open("w", encoding="utf-8", newline="") as csv,
    ):
        pd.DataFrame(columns=list(types)).to_csv(csv, index=False, lineterminator="\n")
        for chunk in rows.chunks():
            frame = _frame([{**row, "run_id": run_id} for row in chunk], types)
            writer.write_table(_arrow(frame, types))
            safe = frame.map(lambda cell: _harmless(cell) if isinstance(cell, str) else cell)
            safe.to_csv(csv, index=False, header=False, lineterminator="\n")


def _frame(rows: Sequence[dict[str, Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Rows as columns of one type each; what a row lacks stays empty."""
    frame = pd.DataFrame(rows, columns=list(types), dtype=object)
    texts = [name for name, kind in types.items() if kind == "str"]
    frame[texts] = frame[texts].map(lambda cell: None if pd.isna(cell) else str(cell))
    return frame.astype({name: kind for name, kind in types.items() if kind != "str"})


def _arrow(frame: pd.DataFrame, types: Mapping[str, str]) -> pa.Table:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in types.items()])
    return pa.Table.from_pandas(frame, schema, preserve_index=False)


def _harmless(text: str) -> str:
    text = f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    # The CSV writer leaves a bare CR unquoted, and readers end the row there.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_report_lines(csv_uri: str) -> str:
    """A report as JSON lines, one per row, null where a row has no value.

    Taken from the Parquet file beside the CSV: only that one tells the id 007 from 7.
    """
    table = pd.read_parquet(io.BytesIO(read_bytes(csv_uri.removesuffix("csv") + "parquet")))
    lines: str = table.to_json(orient="records", lines=True)
    return lines
