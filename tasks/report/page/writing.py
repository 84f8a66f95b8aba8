"""Write the listening page from a report and the files that the renders have shared."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pyarrow as pa

from tasks.jobs.listen import Inputs
from tasks.report.html import Part, one_file_page
from tasks.report.page.data import Parts, Row, by_column, page_rows
from tasks.report.page.places import FOLDER, PAGE
from tasks.report.results import RowResult
from tasks.report.tables import output_of, read_report, write_report
from tasks.running.workspace import Workspace
from tasks.storage.files import list_files, publish
from tasks.storage.uris import absolute, join

_PACKAGE = "tasks.report.page"
_SCRIPTS = (
    "elements.js",
    "rows.js",
    "player.js",
    "details.js",
    "table.js",
    "scatter.js",
    "page.js",
)
_STYLES = ("page.css", "table.css", "player.css")


def write_report_and_page(
    results: Iterable[RowResult],
    workspace: Workspace,
    output_uri: str,
    *,
    run_id: str,
    inputs: Inputs,
    before: Callable[[], None],
) -> str:
    """Write the report, then the page; return the place of the report.

    `before` is as for `tasks.report.tables.write_report`.
    """
    report = write_report(results, workspace, output_uri, run_id=run_id, before=before)
    write_page(read_report(output_uri), workspace, output_uri, inputs=inputs, before=before)
    return report


def write_page(
    table: pa.Table,
    workspace: Workspace,
    output_uri: str,
    *,
    inputs: Inputs,
    n_asked: int | None = None,
    before: Callable[[], None] = lambda: None,
) -> str:
    """Write ``index.html`` into an output folder and return its place.

    Parameters
    ----------
    table
        Report, sorted by line.
    inputs
        How the inputs are played.
    n_asked
        Number of rows of a catalogue that is still being rendered; None if the report is whole.
    before
        Called just before the page appears; if it raises, the page does not appear.
    """
    named = output_of(table) or output_uri
    output_uri = absolute(output_uri)
    found = list_files(join(output_uri, FOLDER))
    names = {f"{FOLDER}/{PurePosixPath(entry.uri).name}" for entry in found}
    rows = page_rows(table, Parts(output_uri, named, names, inputs))
    page = render_page(
        rows,
        title=PurePosixPath(output_uri).name or "catalogue",
        n_rows=len(table),
        n_asked=n_asked,
        run_id=_first(table, "run_id"),
    )
    with workspace.scratch_folder() as folder:
        path = folder / PAGE
        path.write_bytes(page)
        publish(path, join(output_uri, PAGE), before=before)
    return join(output_uri, PAGE)


def _first(table: pa.Table, column: str) -> str:
    known = column in table.column_names and len(table)
    return (table[column][0].as_py() or "") if known else ""


def render_page(
    rows: list[Row], *, title: str, n_rows: int, n_asked: int | None = None, run_id: str = ""
) -> bytes:
    """Return the page of some rows, as UTF-8."""
    data = {
        "title": title,
        "n_rows": n_rows,
        "n_asked": n_asked,
        "run_id": run_id,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "columns": by_column(rows),
    }
    return one_file_page(
        Part(_PACKAGE, "page.html"),
        [Part(_PACKAGE, name) for name in _SCRIPTS],
        [Part(_PACKAGE, name) for name in _STYLES],
        data,
        title=title,
        counts=Counter(row["state"] for row in rows),
    )
