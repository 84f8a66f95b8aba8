"""Write the listening page from a report and the files that the renders have shared."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from tasks.jobs.listen import Inputs
from tasks.report.page.data import Parts, Row, by_column, page_rows
from tasks.report.page.places import FOLDER, PAGE
from tasks.report.results import RowResult
from tasks.report.tables import output_of, read_report, write_report
from tasks.running.workspace import Workspace
from tasks.storage.files import list_files, publish
from tasks.storage.uris import absolute, join

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
_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "img-src 'self' file: data:; media-src 'self' file: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""Only this page's own script and style run. A browser may not count other files of a local
folder as 'self'."""


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
    script, style = _joined(_SCRIPTS), _joined(_STYLES)
    page: str = _template().render(
        title=title,
        counts=Counter(row["state"] for row in rows),
        policy=_POLICY.format(script=_sha256(script), style=_sha256(style)),
        script=Markup(script),  # noqa: S704  # our own file
        style=Markup(style),  # noqa: S704  # our own file
        data=Markup(as_data(data)),  # noqa: S704  # escaped
    )
    return page.encode("utf-8", "replace")


def as_data(value: Any) -> str:
    """Return JSON that cannot end a ``<script>`` element or begin a comment in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader(__package__, "."), autoescape=True, trim_blocks=True
    )
    return environment.get_template("page.html")


@cache
def _joined(names: tuple[str, ...]) -> str:
    folder = files(__package__)
    text = "\n".join((folder / name).read_text("utf-8") for name in names)
    return text.strip()


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
