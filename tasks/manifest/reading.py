"""Read a CSV of pairs into checked rows and report every bad cell.

Nothing here opens a sound file: a missing one fails its own row later. A bad file or
header (encoding, separator, missing or unknown column) raises `ManifestError`; a bad
cell becomes a `RowProblem`, and the other rows remain usable.
"""

import hashlib
import os
import unicodedata
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nst_core.config import AudioFormat, OutputConfig
from nst_core.errors import ConfigError
from tasks.manifest.cells import InputRoots
from tasks.manifest.csv_table import MAX_BYTES, check_size, read_table
from tasks.manifest.decimals import Decimals
from tasks.manifest.planning import default_id
from tasks.manifest.problems import ManifestError, RowProblem, refusal
from tasks.manifest.row import COLUMNS, FORMATS, ROW, ManifestRow, suffix_of
from tasks.manifest.rules import broken_rule
from tasks.storage.credentials import RULE, holds_login, refuse_login, scrub
from tasks.storage.errors import StorageError
from tasks.storage.files import describe, read_bytes
from tasks.storage.uris import is_remote, local, local_text

_KNOWN = frozenset(COLUMNS)


@dataclass(frozen=True)
class Manifest:
    """Valid rows and problems in the order of the file, and the file's sha256 and name."""

    rows: tuple[ManifestRow, ...]
    problems: tuple[RowProblem, ...]
    sha256: str
    source: str = ""
    notes: tuple[str, ...] = ()
    """What was recognised in a file that is not UTF-8 with commas, for people."""

    def raise_problems(self) -> None:
        """Raise ManifestError if there is a problem; its message lists the first hundred."""
        if self.problems:
            raise refusal(self.problems, self.source)


def read_manifest(
    source: str | Path | bytes,
    *,
    input_roots: Sequence[str] = (),
    default_format: AudioFormat = OutputConfig.format,
) -> Manifest:
    """Read and check a manifest.

    Parameters
    ----------
    source
        Path, ``file://`` or ``s3://`` URI, or the file's bytes.
    input_roots
        Folders and ``s3://`` prefixes that inputs may come from; relative paths are
        relative to the first. Default: the manifest's own folder.
    default_format
        Format for rows without one: the suffix of the outputs that we name.

    Raises
    ------
    ManifestError
        The file is not a table with the right columns.
    StorageError
        The file cannot be read.
    """
    if isinstance(source, bytes):
        data = source
    else:
        data = _manifest_bytes(str(source))
        input_roots = input_roots or [_folder(str(source))]
    if not input_roots:
        raise ValueError("a manifest given as bytes has no folder; name an input root")
    name = "" if isinstance(source, bytes) else str(source)
    table = read_table(data, name)
    decimals = Decimals(table.form.separator)
    reader = _RowReader(table.columns, InputRoots(input_roots), default_format, decimals)
    rows = tuple(row for line, cells in table.rows if (row := reader.read(line, cells)))
    words = table.form.in_words(decimal_commas=decimals.were_found)
    notes = () if table.form.is_usual else (f"{name or 'the manifest'} is {words}",)
    sha256 = hashlib.sha256(data).hexdigest()
    return Manifest(rows, tuple(reader.problems), sha256, name, notes)


def _manifest_bytes(source: str) -> bytes:
    refuse_login("the manifest's path", source)
    try:
        if (known := describe(source)) and known.size > MAX_BYTES:
            check_size(known.size)  # before it is read into memory
        return read_bytes(source)
    except ManifestError as error:
        raise ManifestError(f"{source}: {error}", code=error.code) from None
    except StorageError as error:
        if error.code == "not_found":
            message = f"manifest {source} does not exist; `amnst plan` writes one"
        elif not is_remote(source) and local(source).is_dir():
            message = f"manifest {source} is a folder; name the CSV file in it"
        else:
            raise
        raise ManifestError(message, code="not_found") from None


def check_input_roots(input_roots: Iterable[str]) -> None:
    """Refuse a root that is not a folder on this machine, before each of its inputs is reported.

    Raises
    ------
    ConfigError
        ``no_input_root``, ``login_in_place``
    """
    for root in input_roots:
        refuse_login("an input root", root)
        if not is_remote(root) and not os.path.isdir(local_text(root)):  # noqa: PTH112  # never raises
            message = f'input root "{root}" is not a folder on this machine; check --input-root'
            raise ConfigError(message, code="no_input_root")


class _RowReader:
    """Reader that checks row after row and remembers the ids and outputs seen so far."""

    def __init__(
        self,
        columns: Sequence[str],
        inputs: InputRoots,
        default_format: AudioFormat,
        decimals: Decimals,
    ) -> None:
        self.columns = columns
        self.decimals = decimals
        self.inputs = inputs
        self.default_format = default_format
        self.problems: list[RowProblem] = []
        self.ids: dict[str, int] = {}
        self.outputs: dict[str, int] = {}

    def read(self, line: int, cells: Sequence[str]) -> ManifestRow | None:
        """Return the row, or None if it has a problem, which is then in `problems`."""
        if self._refuse_logins(line, cells):
            return None
        # Spreadsheets leave out the separators after a row's last cell.
        filled = zip_longest(self.columns, cells[: len(self.columns)], fillvalue="")
        given = {name: cell.strip() for name, cell in filled}
        values: dict[str, Any] = {n: cell for n, cell in given.items() if cell and n in _KNOWN}
        values["line"] = line
        if extra := {name: scrub(cell) for name, cell in given.items() if name not in _KNOWN}:
            values["extra"] = extra
        if "id" not in values:
            inputs = (scrub(given.get(name, "")) for name in ("ambience", "music"))
            values["id"] = default_id(*inputs)
        before = len(self.problems)
        if any(map(str.strip, cells[len(self.columns) :])):
            rule = f"has {len(cells)} cells, but the header has {len(self.columns)}"
            # We do not know which cell belongs to which column.
            known = {"line": line, "id": values["id"]}
            self._report(known, "", f"{rule}; quote cells that contain a comma", "row_length")
            return None
        self._claim(values, "id", self.ids)
        self.decimals.replace_commas(values)
        row = self._validate(values | self._completed(values), own=values.keys())
        if row and len(self.problems) == before:
            self._claim(values | {"output": row.output}, "output", self.outputs)
        return row if len(self.problems) == before else None

    def _refuse_logins(self, line: int, cells: Sequence[str]) -> bool:
        """Report the cells that contain a login, without repeating any cell of such a row."""
        found = [
            name
            for name, cell in zip_longest(self.columns, cells[: len(self.columns)], fillvalue="")
            if name in _KNOWN and holds_login(cell)
        ]
        if any(map(holds_login, cells[len(self.columns) :])):
            found.append("")  # the cell belongs to no column
        for name in found:
            self.problems.append(RowProblem(line, "", name, "", RULE, "login_in_place"))
        return bool(found)

    def _report(self, values: dict[str, Any], column: str, rule: str, code: str) -> None:
        value = str(values.get(column, "")) if column else ""
        inputs = {name: values[name] for name in ("ambience", "music") if name in values}
        given = inputs | values.get("extra", {})
        cell, text = scrub(value), scrub(rule)  # a rule may quote a part of the cell
        problem = RowProblem(values["line"], values["id"], column, cell, text, code, given)
        self.problems.append(problem)

    def _claim(self, values: dict[str, Any], column: str, seen: dict[str, int]) -> None:
        given = values[column]
        folded = unicodedata.normalize("NFC", given).lower()
        name = given if folded == given else folded  # keep equal texts only once in memory
        first = seen.setdefault(name, values["line"])
        if first != values["line"]:
            rule = f"is already used in line {first} (upper and lower case count as the same)"
            self._report(values, column, rule, f"duplicate_{column}")

    def _completed(self, values: dict[str, Any]) -> dict[str, Any]:
        if "output" not in values:
            return {"output": f"{values['id']}.{values.get('format', self.default_format)}"}
        suffix = suffix_of(values["output"])
        return {"format": values.get("format", suffix if suffix in FORMATS else None)}

    def _validate(self, values: dict[str, Any], *, own: Container[str]) -> ManifestRow | None:
        try:
            return ROW.validate_python(values, context=self.inputs)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                column = str(item["loc"][0]) if item["loc"] else ""
                rule, code = broken_rule(item)
                # An output that we named ourselves is bad only if its id or format is bad.
                if column != "output" or column in own:
                    self._report(values, column, rule, code)
            return None


def _folder(source: str) -> str:
    return source.rpartition("/")[0] if is_remote(source) else str(local(source).absolute().parent)
