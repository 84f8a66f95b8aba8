"""Recognise how a spreadsheet or a script has written a CSV file: its encoding and its separator.

Recognised are UTF-8, UTF-16 with a byte order mark, commas, semicolons and tabs. A file that
could be read in two ways is refused.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from tasks.manifest.file_kinds import NOT_A_MANIFEST, kind_of_file
from tasks.manifest.problems import ManifestError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_REQUIRED = {"ambience", "music"}
_MARKS_16 = (b"\xff\xfe", b"\xfe\xff")
_MARKS_32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_ADVICE = "save it as CSV UTF-8"
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*\s*', re.IGNORECASE)
"""First line by which Excel names the separator of the file."""
_END_OF_FILE = "\x1a"
"""Character that DOS programs write after the last line."""


class CsvForm(NamedTuple):
    """Encoding and separator of a CSV file.

    Attributes
    ----------
    encoding
        Name of the codec, which also skips a byte order mark.
    first_line
        Number of the line that the table starts on: 2 after a line such as ``sep=;``.
    """

    encoding: str
    separator: str
    first_line: int = 1

    @property
    def is_usual(self) -> bool:
        """Whether this is UTF-8 with commas, which needs no note."""
        return self.encoding == "utf-8-sig" and self.separator == ","

    def in_words(self, *, decimal_commas: bool) -> str:
        """Return what was recognised, such as ``UTF-16 with tabs``."""
        name = "UTF-16" if self.encoding == "utf-16" else "CSV"
        commas = " and decimal commas" if decimal_commas else ""
        is_plain = self.separator == "," and not commas
        return name if is_plain else f"{name} with {_SEPARATORS[self.separator]}{commas}"


def read_form(data: bytes) -> CsvForm:
    """Recognise the form of a CSV file.

    Raises
    ------
    ManifestError
        ``not_csv``: another kind of file. ``wrong_encoding``: neither UTF-8 nor UTF-16 with a
        byte order mark. ``wrong_separator``: the first line has several separators, or another
        one.
    """
    encoding = _encoding(data)
    with io.TextIOWrapper(io.BytesIO(data), encoding, newline=None) as text:
        line = text.readline()
        if named := _SEP_LINE.fullmatch(line):
            return CsvForm(encoding, _known_separator(named[1]), first_line=2)
        while line and not line.strip():
            line = text.readline()
    return CsvForm(encoding, _separator(line))


def rows_of(data: bytes, form: CsvForm) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line it starts on.

    Raises
    ------
    ManifestError
        ``not_csv``: the quotes do not match.
    """
    text = io.TextIOWrapper(io.BytesIO(data), form.encoding, newline="")
    for _ in range(1, form.first_line):
        text.readline()
    reader = csv.reader(text, delimiter=form.separator, strict=True, skipinitialspace=True)
    line = form.first_line
    try:
        for cells in reader:
            if any(cell.strip(_END_OF_FILE).strip() for cell in cells):
                yield line, cells
            line = reader.line_num + form.first_line
    except csv.Error as error:
        message = f"line {line}: {error}; close every quote, and double those inside a cell"
        raise ManifestError(message, code="not_csv") from error


def _encoding(data: bytes) -> str:
    if kind := kind_of_file(data):
        raise ManifestError(f"is {kind.name}; {kind.way_out}", code="not_csv")
    if data.startswith(_MARKS_32):
        raise ManifestError(f"is encoded in UTF-32; {_ADVICE}", code="wrong_encoding")
    if data.startswith(_MARKS_16):
        return _checked_16(data)
    beginning = data[:200]
    if max(beginning[::2].count(0), beginning[1::2].count(0)) > len(beginning) / 3:
        reason = "is likely UTF-16, but has no byte order mark, which names the order of its bytes"
        raise ManifestError(f"{reason}; {_ADVICE}", code="wrong_encoding")
    if b"\0" in beginning.partition(b"\n")[0]:
        message = f"is not text: {len(data)} bytes of another format; {NOT_A_MANIFEST}"
        raise ManifestError(message, code="not_csv")
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"line {line} contains the byte 0x{data[error.start]:02X}"
        message = f"{byte}, which is not UTF-8 but likely Windows-1252 (Latin-1); {_ADVICE}"
        raise ManifestError(message, code="wrong_encoding") from error
    return "utf-8-sig"


def _checked_16(data: bytes) -> str:
    try:
        data.decode("utf-16")
    except UnicodeDecodeError as error:
        reason = f"is UTF-16, but damaged after {error.start} bytes ({error.reason})"
        raise ManifestError(f"{reason}; {_ADVICE}", code="wrong_encoding") from error
    return "utf-16"


def _known_separator(separator: str) -> str:
    if separator not in _SEPARATORS:
        message = f'line 1 names the separator "{separator}"; separate the columns by commas'
        raise ManifestError(message, code="wrong_separator")
    return separator


def _separator(header: str) -> str:
    """Return the separator that makes a header of the line, or refuse a line with several."""
    names = {each: _cells(header, each) for each in _SEPARATORS}
    present = [each for each, cells in names.items() if len(cells) > 1]
    fitting = [
        each
        for each in present
        if {cell.strip().lower() for cell in names[each]}.issuperset(_REQUIRED)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if len(present) > 1:
        kinds = " and ".join(_SEPARATORS[each] for each in present)
        message = f"line 1 contains {kinds}; separate all columns by commas"
        raise ManifestError(message, code="wrong_separator")
    if not present and "|" in header:
        message = "line 1 is separated by bars; separate the columns by commas"
        raise ManifestError(message, code="wrong_separator")
    return present[0] if present else ","


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a cell is too long; `rows_of` reports it
        return []
