"""Data of the listening page: the rows of a report, with links, words and a judgement each."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.jobs.listen import Inputs
from tasks.manifest.cells import SEPARATOR
from tasks.report.page.places import (
    ambience_preview_name,
    link_to,
    music_preview_name,
    picture_name,
    url,
)
from tasks.report.words import doubt, in_words

MOST_ROWS = 20_000
"""A page with more rows would be slow to open; those with trouble come first."""

_SHOWN = (
    "line", "id", "status", "stage", "error_code", "error", "sha256", "ambience", "music",
    "strength", "preset", "start", "iterations", "seed", "start_s", "duration_s", "sample_rate",
    "music_lufs", "ambience_lufs", "loudness_lufs", "content", "texture", "identity",
    "carrier_db", "follow", "chroma", "onset_correlation", "spectrum", "transfer_seconds",
    "invert_seconds",
    "music_sha256", "ambience_sha256", "model_sha256", "worker", "ended_at",
)  # fmt: skip
MADE = ("ok", "cached")
"""Statuses of rows that have an output."""
_FIGURES = ("content", "texture", "identity", "carrier_db", "follow", "strength")
_NEAR = {"failed": 0, "invalid": 1, "not_run": 2, "look": 3, "meant": 4, "skipped": 5}

Row = dict[str, Any]


class Parts(NamedTuple):
    """What the page can refer to.

    Attributes
    ----------
    output_uri
        Folder of the page, absolute.
    named
        The same folder as the rows name it: it may be relative, or have been moved since.
    files
        Names in its folder ``listen/``, relative to the page.
    inputs
        How the inputs are played.
    """

    output_uri: str
    named: str
    files: Collection[str]
    inputs: Inputs


def page_rows(table: pa.Table, parts: Parts) -> list[Row]:
    """Return the rows of a report as the page shows them.

    Each has the columns of the report, and ``state`` (``meant``, ``look`` or its status),
    ``words``, ``doubt``, ``picture``, and the relative URLs of its three sounds. A text is empty
    where there is none.
    """
    rows = [{**row, **_told(row), **_sounds(row, parts)} for row in rows_of(table)]
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: (_NEAR[row["state"]], row["line"]))[:MOST_ROWS]
        rows.sort(key=lambda row: row["line"])
    return rows


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Yield the rows of a report; a cell without a value is None."""
    columns = (*_SHOWN, "output")
    present = [name for name in columns if name in table.column_names]
    for batch in table.select(present).to_batches(1_000):
        for row in batch.to_pylist():
            yield {name: _plain(row.get(name)) for name in columns}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _told(row: Row) -> Row:
    """Return the state of a row, what it sounds like, and what about it is not as meant."""
    if row["status"] not in MADE:
        return {"state": row["status"], "words": "", "doubt": ""}
    figures: Mapping[str, float | None] = {name: row[name] for name in _FIGURES}
    strength = figures["strength"]
    if strength is None or figures["texture"] is None:
        unknown = "its figures are missing"
        return {"state": "look", "words": unknown, "doubt": unknown}
    wrong = doubt(figures, strength)
    state = "look" if wrong else "meant"
    return {"state": state, "words": in_words(figures, strength), "doubt": wrong}


def _sounds(row: Row, parts: Parts) -> Row:
    """Return the URLs of a row's sounds and picture."""
    sounds = {"result_url": "", "music_url": "", "ambience_url": "", "picture": ""}
    output = row.pop("output") or ""
    folder = parts.named.rstrip("/") + "/"
    if row["status"] not in MADE or not output.startswith(folder):
        return sounds
    sounds["result_url"] = url(output.removeprefix(folder))
    picture = picture_name(row["sha256"])
    sounds["picture"] = picture if picture in parts.files else ""
    if parts.inputs == "none":
        return sounds
    preview = music_preview_name(row["music_sha256"], row["start_s"] or 0.0, row["duration_s"])
    sounds["music_url"] = _input(row["music"], preview, parts)
    sha256s = row["ambience_sha256"].split(SEPARATOR)
    preview = ambience_preview_name(sha256s, row["sha256"])
    sounds["ambience_url"] = _input(row["ambience"] if len(sha256s) == 1 else "", preview, parts)
    return sounds


def _input(place: str, preview: str, parts: Parts) -> str:
    link = link_to(place, parts.output_uri) if parts.inputs == "links" else ""
    return link or (preview if preview in parts.files else "")


def by_column(rows: list[Row]) -> dict[str, Any]:
    """Return rows as columns; one with many equal values as its distinct values and their indices.

    This makes the page a third as large.
    """
    columns: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        ranks = {value: rank for rank, value in enumerate(dict.fromkeys(values))}
        if len(ranks) <= len(values) // 2:
            columns[name] = {"distinct": list(ranks), "at": [ranks[value] for value in values]}
        else:
            columns[name] = values
    return columns
