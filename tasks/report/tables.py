"""Report: one row per row of the manifest, in the manifest's order, with none left out.

Rows are kept as columns of their declared types: a hundred thousand rows take about 100 MB.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from tasks.report.columns import COLUMNS
from tasks.report.results import RowResult
from tasks.running.workspace import Workspace
from tasks.storage.files import publish, read_bytes
from tasks.storage.uris import join

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_CHUNK = 1_000
_OUTPUT = b"amnst.output"
"""Name of the output folder in the Parquet file's metadata."""
_ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}
_PANDAS = {"text": "object", "integer": "Int64", "number": "float64"}
_TYPES = {each.name: each.type for each in COLUMNS}


def write_report(
    results: Iterable[RowResult],
    workspace: Workspace,
    output_uri: str,
    *,
    run_id: str = "",
    before: Callable[[], None] = lambda: None,
) -> str:
    """Write ``results.csv`` and ``results.parquet``; return the place of the CSV.

    In the CSV, a text that a spreadsheet would read as a formula gets a leading ``'``.
    If a line has two results, the later one counts. `before` is called before each file appears;
    if it raises, the file does not appear.
    """
    with workspace.scratch_folder() as folder:
        _write_tables(_table(results, run_id), folder, output_uri)
        for name in ("results.parquet", "results.csv"):
            publish(folder / name, join(output_uri, name), before=before)
    return join(output_uri, "results.csv")


def report_table(results: Iterable[RowResult], run_id: str = "") -> pa.Table:
    """Return the rows of a report, sorted by line, without writing it."""
    table = _table(results, run_id)
    return table.take(_order(table))


def output_of(table: pa.Table) -> str | None:
    """Return the output folder as the run that wrote a report named it; outputs begin with it."""
    named = (table.schema.metadata or {}).get(_OUTPUT)
    return None if named is None else os.fsdecode(named)


def read_report(output_uri: str) -> pa.Table:
    """Read the report in an output folder; raise StorageError ``not_found`` if there is none."""
    return parquet.read_table(io.BytesIO(read_bytes(join(output_uri, "results.parquet"))))


def _table(results: Iterable[RowResult], run_id: str) -> pa.Table:
    """Return all results in the given order; a line may have more than one."""
    rows = ({**_flat(each), "run_id": run_id} for each in results)
    chunks = [_chunk([]), *map(_chunk, iter(lambda: list(islice(rows, _CHUNK)), []))]
    return pa.concat_tables(chunks, promote_options="default")


def _flat(result: RowResult) -> dict[str, Any]:
    columns: dict[str, Any] = dict(vars(result))
    facts: dict[str, Any] = columns.pop("facts")
    return columns | facts


def _chunk(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as columns: the declared ones, then the manifest's own, which are texts."""
    own = dict.fromkeys(name for row in rows for name in row if name not in _TYPES)
    fields = [(name, _ARROW[kind]) for name, kind in _TYPES.items()]
    schema = pa.schema([*fields, *((name, pa.string()) for name in own)])
    return pa.Table.from_pylist(rows, schema)


def _in_order(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the last result of each line, sorted by line, some thousands at a time."""
    chosen = _order(table)
    for first in range(0, len(chosen), _CHUNK):
        yield table.take(chosen[first : first + _CHUNK])


def _order(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return the index of the last result of each line, sorted by line."""
    lines = table["line"].to_numpy()
    order = np.argsort(lines, kind="stable")
    is_last = np.diff(lines[order], append=-1) != 0
    chosen: npt.NDArray[np.int64] = order[is_last]
    return chosen


def _write_tables(table: pa.Table, folder: Path, output_uri: str) -> None:
    schema = _with_pandas_types(table.schema)
    schema = schema.with_metadata({**schema.metadata, _OUTPUT: os.fsencode(output_uri)})
    with (
        parquet.ParquetWriter(folder / "results.parquet", schema) as writer,
        (folder / "results.csv").open("w", encoding="utf-8", newline="") as csv,
    ):
        pd.DataFrame(columns=table.column_names).to_csv(csv, index=False, lineterminator="\n")
        for some in _in_order(table):
            writer.write_table(some.cast(schema))
            frame = some.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
            safe = frame.map(lambda cell: _harmless(cell) if isinstance(cell, str) else cell)
            safe.to_csv(csv, index=False, header=False, lineterminator="\n")


def _with_pandas_types(schema: pa.Schema) -> pa.Schema:
    """Return a schema with which pandas reads integers with gaps as integers, not as 22050.0."""
    types = {name: _PANDAS[_TYPES.get(name, "text")] for name in schema.names}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
    return pa.Table.from_pandas(empty, schema, preserve_index=False).schema


def _harmless(text: str) -> str:
    text = f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    # The CSV writer does not quote a bare CR, and readers would end the row there.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_report_lines(csv_uri: str) -> str:
    """Return a report as JSON lines, one per row, with null where a row has no value.

    The Parquet file next to the CSV is read, because the CSV cannot tell the id 007 from 7.
    """
    table = pd.read_parquet(io.BytesIO(read_bytes(csv_uri.removesuffix("csv") + "parquet")))
    lines: str = table.to_json(orient="records", lines=True)
    return lines
