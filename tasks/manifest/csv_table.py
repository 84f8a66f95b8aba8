"""Turn the bytes of a CSV file into a checked header and rows of cells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from tasks.manifest.csv_form import CsvForm, read_form, rows_of
from tasks.manifest.problems import ManifestError, RowProblem, refusal
from tasks.manifest.rules import unknown_column
from tasks.storage.credentials import RULE, holds_login

MAX_BYTES = 200 << 20
MAX_COLUMNS = 200
MAX_ROWS = 1_000_000


class Table(NamedTuple):
    """Table of a CSV file: columns, pairs of a row's first line and its cells, and its form."""

    columns: list[str]
    rows: Iterator[tuple[int, list[str]]]
    form: CsvForm


def read_table(data: bytes, source: str = "") -> Table:
    """Return the columns, and an iterator over the rows that are not blank.

    Parameters
    ----------
    data
        Whole file.
    source
        Name of the file in messages.

    Raises
    ------
    ManifestError
        ``not_csv``, ``wrong_encoding``, ``empty``, ``wrong_separator``, ``too_big``,
        ``too_many_columns``, or a column is missing, unknown or duplicate. ``not_csv`` and
        ``too_many_rows`` may be raised later, by the iterator.
    """
    with _named(source):
        check_size(len(data))
        form = read_form(data)
        rows = rows_of(data, form)
        first = list(islice(rows, 2))
        if len(first) < 2:
            message = "has no rows; it needs a header with ambience and music, and one row"
            raise ManifestError(message, code="empty")
        (_, header), row = first
        return Table(_columns(header), _lines(row, rows, source), form)


def check_size(n_bytes: int) -> None:
    """Refuse a file that is too big; raise ManifestError ``too_big``."""
    if n_bytes > MAX_BYTES:
        size, most = n_bytes >> 20, MAX_BYTES >> 20
        message = f"has {size} MiB, at most {most} MiB are read; split it into several manifests"
        raise ManifestError(message, code="too_big")


def _lines(
    first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]], source: str
) -> Iterator[tuple[int, list[str]]]:
    with _named(source):
        yield first
        for number, row in enumerate(rows, start=2):
            if number > MAX_ROWS:
                message = f"has more than {MAX_ROWS} rows; split it into several manifests"
                raise ManifestError(message, code="too_many_rows")
            yield row


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Add the name of the file to a ManifestError."""
    try:
        yield
    except ManifestError as error:
        if error.problems:
            raise refusal(error.problems, source) from error
        raise ManifestError(f"{source or 'the manifest'}: {error}", code=error.code) from error


def _columns(header: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    while columns and not columns[-1]:
        columns.pop()  # spreadsheets save empty columns that once had a cell
    if len(columns) > MAX_COLUMNS:
        message = f"line 1 has {len(columns)} columns, at most {MAX_COLUMNS} are read; remove some"
        raise ManifestError(message, code="too_many_columns")
    problems = [*_unknown(columns), *_missing(columns)]
    if problems:
        raise refusal(problems)
    return columns


def _unknown(columns: Sequence[str]) -> Iterator[RowProblem]:
    seen: Counter[str] = Counter()
    for number, name in enumerate(columns, start=1):
        seen[name] += 1
        if holds_login(name):
            yield RowProblem(1, "", f"number {number}", "", RULE, "login_in_place")
        elif seen[name] > 1:
            yield RowProblem(1, "", name, "", "appears twice in the header", "duplicate_column")
        elif rule := unknown_column(name):
            shown = name or f"number {number}, without a name"
            yield RowProblem(1, "", shown, "", rule, "unknown_column")


def _missing(columns: Sequence[str]) -> Iterator[RowProblem]:
    for name in ("ambience", "music"):
        if name not in columns:
            yield RowProblem(1, "", name, "", "is required and missing", "missing_column")
