"""Turn the bytes of a CSV file into a checked header and rows of cells."""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from tasks.manifest.file_kinds import NOT_A_MANIFEST, kind_of_file
from tasks.manifest.problems import ManifestError, RowProblem, refusal
from tasks.manifest.row import COLUMNS
from tasks.storage.credentials import RULE, holds_login


def read_table(data: bytes, source: str = "") -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the columns, and an iterator over the rows that are not blank.

    Parameters
    ----------
    data
        Whole file.
    source
        Name of the file in messages.

    Returns
    -------
    Columns; pairs of the line that a row starts on and the row's cells.

    Raises
    ------
    ManifestError
        ``not_csv``, ``wrong_encoding``, ``empty``, ``wrong_separator``, or a column is
        missing, unknown or duplicate. ``not_csv`` may be raised later, by the iterator.
    """
    with _named(source):
        _check_text(data)
        rows = _rows(data)
        first = list(islice(rows, 2))
        if len(first) < 2:
            message = "has no rows; it needs a header with ambience and music, and one row"
            raise ManifestError(message, code="empty")
        (_, header), row = first
        return _columns(header), _lines(row, rows, source)


def _lines(
    first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]], source: str
) -> Iterator[tuple[int, list[str]]]:
    with _named(source):
        yield first
        yield from rows


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Add the name of the file to a ManifestError."""
    try:
        yield
    except ManifestError as error:
        if error.problems:
            raise refusal(error.problems, source) from error
        raise ManifestError(f"{source or 'the manifest'}: {error}", code=error.code) from error


def _check_text(data: bytes) -> None:
    advice = "save it as CSV UTF-8"
    if kind := kind_of_file(data):
        raise ManifestError(f"is {kind.name}; {kind.way_out}", code="not_csv")
    beginning = data[:200]
    has_mark = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if has_mark or max(beginning[::2].count(0), beginning[1::2].count(0)) > len(beginning) / 3:
        raise ManifestError(f"is encoded in UTF-16; {advice}", code="wrong_encoding")
    if b"\0" in beginning.partition(b"\n")[0]:
        message = f"is not text: {len(data)} bytes of another format; {NOT_A_MANIFEST}"
        raise ManifestError(message, code="not_csv")
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"line {line} contains the byte 0x{data[error.start]:02X}"
        message = f"{byte}, which is not UTF-8 but likely Windows-1252 (Latin-1); {advice}"
        raise ManifestError(message, code="wrong_encoding") from error


def _rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line it starts on."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    reader, line = csv.reader(text, strict=True), 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        message = f"line {line}: {error}; close every quote, and double those inside a cell"
        raise ManifestError(message, code="not_csv") from error


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
        if holds_login(name):
            yield RowProblem(1, "", f"number {number}", "", RULE, "login_in_place")
        elif columns.index(name) < number - 1:
            yield RowProblem(1, "", name, "", "appears twice in the header", "duplicate_column")
        elif name not in COLUMNS and name not in {"note", "tags"} and name[:2] != "x_":
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            way_out = f'did you mean "{close[0]}"?' if close else "your own must start with x_"
            shown = name or f"number {number}, without a name"
            yield RowProblem(
                1, "", shown, "", f"is not a known column; {way_out}", "unknown_column"
            )


def _missing(columns: Sequence[str]) -> Iterator[RowProblem]:
    for name in ("ambience", "music"):
        if name not in columns:
            yield RowProblem(1, "", name, "", "is required and missing", "missing_column")
