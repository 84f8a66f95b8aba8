"""CSV bytes become a header that can be trusted and rows of cells."""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence

from tasks.problems import ManifestError, RowProblem, refusal
from tasks.row import COLUMNS


def read_table(data: bytes, source: str = "") -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the columns, and the rows that are not blank with the line each starts on.

    Parameters
    ----------
    data
        The whole file.
    source
        What messages call it.

    Raises
    ------
    ManifestError
        ``not_csv``, ``wrong_encoding``, ``empty``, ``wrong_separator``, or for a column
        that is missing, unknown or there twice.
    """
    try:
        (_, header), *lines = _rows(_decoded(data))
        return _columns(header), lines
    except ManifestError as error:
        if error.problems:
            raise refusal(error.problems, source) from error
        raise ManifestError(f"{source or 'the manifest'}: {error}", code=error.code) from error


def _decoded(data: bytes) -> str:
    advice = "save it as CSV UTF-8"
    if data.startswith(b"PK\x03\x04"):
        raise ManifestError(f"is an Excel workbook or a zip file; {advice}", code="not_csv")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[:200].count(b"\0") > 20:
        raise ManifestError(f"is encoded in UTF-16; {advice}", code="wrong_encoding")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"line {line} holds the byte 0x{data[error.start]:02X}"
        message = f"{byte}, which is not UTF-8 but likely Windows-1252 (Latin-1); {advice}"
        raise ManifestError(message, code="wrong_encoding") from error


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, each with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        message = f"line {line}: {error}; close every quote, and double those inside a cell"
        raise ManifestError(message, code="not_csv") from error
    if len(rows) < 2:
        message = "has no rows; a header with ambience and music and one row are needed"
        raise ManifestError(message, code="empty")
    return rows


def _columns(header: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            message = f"line 1 is separated by {name}; separate the columns by commas"
            raise ManifestError(message, code="wrong_separator")
    problems = [*_unknown(columns), *_missing(columns)]
    if problems:
        raise refusal(problems)
    return columns


def _unknown(columns: Sequence[str]) -> Iterator[RowProblem]:
    for number, name in enumerate(columns, start=1):
        if columns.index(name) < number - 1:
            yield RowProblem(1, "", name, "", "stands twice in the header", "duplicate_column")
        elif name not in COLUMNS and name not in {"note", "tags"} and name[:2] != "x_":
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            way_out = f'did you mean "{close[0]}"?' if close else "own columns start with x_"
            shown = name or f"number {number}, without a name"
            yield RowProblem(1, "", shown, "", f"is no column; {way_out}", "unknown_column")


def _missing(columns: Sequence[str]) -> Iterator[RowProblem]:
    for name in ("ambience", "music"):
        if name not in columns:
            yield RowProblem(1, "", name, "", "is required and missing", "missing_column")
