"""Which files: a CSV of pairs becomes checked rows, every bad cell is named.

Nothing here opens a sound file: a missing one fails its own row later. A header
that cannot be trusted (encoding, separator, missing or unknown column) raises
`ManifestError`; a bad cell becomes a `RowProblem`, and the other rows stand.
"""

import hashlib
import os
import unicodedata
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nst_core.config import AudioFormat, OutputConfig
from nst_core.errors import ConfigError
from tasks.files import StorageError, is_remote, local, local_text, read_bytes
from tasks.inputs import InputRoots
from tasks.plan import default_id
from tasks.problems import ManifestError, RowProblem, refusal
from tasks.row import COLUMNS, FORMATS, ROW, ManifestRow, suffix_of
from tasks.table import read_table


@dataclass(frozen=True)
class Manifest:
    """Good rows and problems, each in the order of the file; the file's sha256 and name."""

    rows: tuple[ManifestRow, ...]
    problems: tuple[RowProblem, ...]
    sha256: str
    source: str = ""

    def raise_problems(self) -> None:
        """Raise ManifestError when there is a problem; the first hundred are spelled out."""
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
        Folders and ``s3://`` prefixes that inputs may come from; relative paths start
        at the first. Default: the manifest's own folder.
    default_format
        Format of rows that name none: it completes the name of their output.

    Raises
    ------
    ManifestError
        When the file is no table with the right columns.
    StorageError
        When it cannot be read.
    """
    if isinstance(source, bytes):
        data = source
    else:
        data = _manifest_bytes(str(source))
        input_roots = input_roots or [_folder(str(source))]
    if not input_roots:
        raise ValueError("a manifest given as bytes has no folder: name an input root")
    name = "" if isinstance(source, bytes) else str(source)
    columns, lines = read_table(data, name)
    reader = _RowReader(columns, InputRoots(input_roots), default_format)
    rows = tuple(row for line, cells in lines if (row := reader.read(line, cells)))
    return Manifest(rows, tuple(reader.problems), hashlib.sha256(data).hexdigest(), name)


def _manifest_bytes(source: str) -> bytes:
    try:
        return read_bytes(source)
    except StorageError as error:
        if error.code == "not_found":
            message = f"manifest {source} does not exist; `amnst plan` writes one"
        elif not is_remote(source) and local(source).is_dir():
            message = f"manifest {source} is a folder; name the CSV file in it"
        else:
            raise
        raise ManifestError(message, code="not_found") from None


def check_input_roots(input_roots: Iterable[str]) -> None:
    """Name a root that is no folder on this machine, before every input of it is reported.

    Raises
    ------
    ConfigError
        ``no_input_root``
    """
    for root in input_roots:
        if not is_remote(root) and not os.path.isdir(local_text(root)):  # noqa: PTH112  # never raises
            message = f'input root "{root}" is no folder on this machine; mend --input-root'
            raise ConfigError(message, code="no_input_root")


def missing_inputs(rows: Iterable[ManifestRow]) -> list[RowProblem]:
    """A problem for each local input that is not there; buckets are not asked."""
    return [
        RowProblem(row.line, row.id, column, uri, "there is no such file", "not_found")
        for row in rows
        for column, uris in (("ambience", row.ambience.places), ("music", (row.music,)))
        for uri in uris
        if not is_remote(uri) and not local(uri).is_file()
    ]


class _RowReader:
    """Checks row after row, with what has been seen so far."""

    def __init__(
        self, columns: Sequence[str], inputs: InputRoots, default_format: AudioFormat
    ) -> None:
        self.columns = columns
        self.inputs = inputs
        self.default_format = default_format
        self.problems: list[RowProblem] = []
        self.ids: dict[str, int] = {}
        self.outputs: dict[str, int] = {}

    def read(self, line: int, cells: Sequence[str]) -> ManifestRow | None:
        """Return the row, or None when it added to `problems`."""
        given = {name: cell.strip() for name, cell in zip(self.columns, cells, strict=False)}
        values: dict[str, Any] = {name: given[name] for name in COLUMNS if given.get(name)}
        values["line"] = line
        if extra := {name: cell for name, cell in given.items() if name not in COLUMNS}:
            values["extra"] = extra
        values.setdefault("id", default_id(given.get("ambience", ""), given.get("music", "")))
        before = len(self.problems)
        if len(cells) != len(self.columns):
            rule = f"has {len(cells)} cells, the header has {len(self.columns)}"
            # Which cell stands in which column is not known.
            known = {"line": line, "id": values["id"]}
            self._report(known, "", f"{rule}; quote cells that hold a comma", "row_length")
            return None
        self._claim(values, "id", self.ids)
        row = self._validate(values | self._completed(values), own=values.keys())
        if row and len(self.problems) == before:
            self._claim(values | {"output": row.output}, "output", self.outputs)
        return row if len(self.problems) == before else None

    def _report(self, values: dict[str, Any], column: str, rule: str, code: str) -> None:
        value = str(values.get(column, "")) if column else ""
        inputs = {name: values[name] for name in ("ambience", "music") if name in values}
        given = inputs | values.get("extra", {})
        problem = RowProblem(values["line"], values["id"], column, value, rule, code, given)
        self.problems.append(problem)

    def _claim(self, values: dict[str, Any], column: str, seen: dict[str, int]) -> None:
        given = values[column]
        folded = unicodedata.normalize("NFC", given).lower()
        name = given if folded == given else folded  # not the same text twice in memory
        first = seen.setdefault(name, values["line"])
        if first != values["line"]:
            rule = f"is already used in line {first}; each row needs its own, whatever the case"
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
                code = str(item.get("ctx", {}).get("code", "bad_value"))
                # An output that we named ourselves is bad only because its id or format is.
                if column != "output" or column in own:
                    self._report(values, column, _rule_in(item["msg"]), code)
            return None


def _rule_in(message: str) -> str:
    message = message.partition(", unable")[0].replace("Input should", "must")
    return "must be given" if message == "Field required" else message


def _folder(source: str) -> str:
    return source.rpartition("/")[0] if is_remote(source) else str(local(source).absolute().parent)
