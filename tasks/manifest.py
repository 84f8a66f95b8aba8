"""Which files: a CSV of pairs becomes checked rows, every bad cell is named.

Nothing here opens a sound file: a missing one fails its own row later. A header
that cannot be trusted (encoding, separator, missing or unknown column) raises
`ManifestError`; a bad cell becomes a `RowProblem`, and the other rows stand.
"""

import csv
import difflib
import functools
import glob
import hashlib
import io
import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Annotated, Any, TextIO, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from nst_core.config import AudioFormat, AudioLimits, OutputConfig, Start, TransferConfig, preset
from nst_core.errors import ConfigError, NSTError
from tasks.store import is_remote, join, local, read_bytes

MAX_MESSAGES = 100

_FORMATS: tuple[str, ...] = get_args(AudioFormat)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TRANSFER = {
    "strength": "strength",
    "start": "start",
    "iterations": "n_iterations",
    "content_weight": "content_weight",
    "style_weight": "style_weight",
    "learning_rate": "learning_rate",
    "seed": "seed",
}
_OUTPUT = ("format", "subtype", "sample_rate", "loudness_lufs")


def _broken(code: str, rule: str) -> PydanticCustomError:
    return PydanticCustomError("cell", "{rule}", {"rule": rule, "code": code})


def _rule_of(error: ConfigError) -> str:
    return f"is {str(error).partition(' is ')[2]}"


def _within(config: Callable[..., object], field: str) -> AfterValidator:
    """Check a cell by the configuration's own rule, the only home of its range."""
    accepted: set[object] = {None}

    def check(value: object) -> object:
        if value not in accepted:
            try:
                config(**{field: value})
            except ConfigError as error:
                raise _broken("bad_value", _rule_of(error)) from error
            accepted.add(value)
        return value

    return AfterValidator(check)


def _true_or_false(cell: object) -> object:
    # pydantic alone also takes "y", "off" and "1".
    if isinstance(cell, str):
        if cell.lower() not in {"true", "false"}:
            raise _broken("bad_value", "must be true or false")
        return cell.lower() == "true"
    return cell


class ManifestRow(BaseModel):
    """One pair to render; None leaves the choice to the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    line: int
    """Line of the CSV file that the row starts on; the header is line 1."""
    id: str
    ambience: str
    """Absolute local path or ``s3://`` URI inside an input root; in a plan, as given."""
    music: str
    output: str
    """Relative to the output folder, ``/`` between its parts."""
    enabled: Annotated[bool, BeforeValidator(_true_or_false)] = True
    preset: str | None = None
    strength: Annotated[float | None, _within(TransferConfig, "strength")] = None
    start: Start | None = None
    iterations: Annotated[int | None, _within(TransferConfig, "n_iterations")] = None
    content_weight: Annotated[float | None, _within(TransferConfig, "content_weight")] = None
    style_weight: Annotated[float | None, _within(TransferConfig, "style_weight")] = None
    learning_rate: Annotated[float | None, _within(TransferConfig, "learning_rate")] = None
    seed: Annotated[int | None, _within(TransferConfig, "seed")] = None
    start_s: float = Field(default=0.0, ge=0.0)
    duration_s: float | None = Field(default=None, ge=AudioLimits.min_duration_s)
    sample_rate: Annotated[int | None, _within(OutputConfig, "sample_rate")] = None
    format: AudioFormat | None = None
    subtype: str | None = None
    loudness_lufs: Annotated[float | None, _within(OutputConfig, "loudness_lufs")] = None
    extra: dict[str, str] = {}
    """The columns ``note``, ``tags`` and ``x_*``, passed through to the report."""

    @property
    def transfer_overrides(self) -> dict[str, Any]:
        """The row's own `nst_core.config.TransferConfig` fields."""
        values = {field: getattr(self, column) for column, field in _TRANSFER.items()}
        return {field: value for field, value in values.items() if value is not None}

    @property
    def output_overrides(self) -> dict[str, Any]:
        """The row's own `nst_core.config.OutputConfig` fields."""
        values = {column: getattr(self, column) for column in _OUTPUT}
        return {field: value for field, value in values.items() if value is not None}

    @field_validator("id")
    @classmethod
    def _named(cls, name: str) -> str:
        if not _ID.fullmatch(name):
            rule = "must be 1-100 of A-Z a-z 0-9 . _ - and start with a letter or a digit"
            raise _broken("bad_id", rule)
        return name

    @field_validator("ambience", "music")
    @classmethod
    def _inside(cls, cell: str, info: ValidationInfo) -> str:
        return info.context.resolve(cell) if isinstance(info.context, _Inputs) else cell

    @field_validator("output")
    @classmethod
    def _relative(cls, output: str) -> str:
        parts = output.split("/")
        rule = _unsafe(output)
        if not rule and any(part.startswith(".") or not part for part in parts):
            rule = "must be relative, without empty or hidden parts"
        if not rule and _suffix(output) not in _FORMATS:
            rule = f"must end in {', '.join('.' + name for name in _FORMATS)}"
        if rule:
            raise _broken("bad_output", rule)
        return output

    @field_validator("format")
    @classmethod
    def _as_output(cls, name: str | None, info: ValidationInfo) -> str | None:
        suffix = _suffix(info.data.get("output", ""))
        if name and suffix and name != suffix:
            raise _broken("bad_output", f"does not go with an output that ends in .{suffix}")
        return name

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        try:
            return name if name is None or preset(name) else None
        except ConfigError as error:
            raise _broken("bad_value", _rule_of(error)) from error

    @model_validator(mode="after")
    def _together(self) -> "ManifestRow":
        try:
            if len(self.transfer_overrides) > 1:
                TransferConfig(**self.transfer_overrides)
            if len(self.output_overrides) > 1:
                OutputConfig(**self.output_overrides)
        except ConfigError as error:
            raise _broken("bad_value", str(error)) from error
        return self


COLUMNS = tuple(name for name in ManifestRow.model_fields if name not in {"line", "extra"})


@dataclass(frozen=True)
class RowProblem:
    """A cell that breaks a rule; `column` is empty when no single cell is to blame."""

    line: int
    id: str
    column: str
    value: str
    rule: str
    code: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= 80 else f"{self.value[:77]}..."
        cell = (f', column "{self.column}"' if self.column else "") + (
            f', value "{value}"' if value else ""
        )
        return f"line {self.line}{cell}: {self.rule}"


class ManifestError(NSTError):
    """A manifest that must not be rendered; `problems` are the cells to blame."""

    def __init__(
        self, message: str, *, code: str = "bad_manifest", problems: Sequence[RowProblem] = ()
    ) -> None:
        super().__init__(message, code=code)
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Manifest:
    """Good rows and problems, each in the order of the file; sha256 of the whole file."""

    rows: tuple[ManifestRow, ...]
    problems: tuple[RowProblem, ...]
    sha256: str

    def raise_problems(self) -> None:
        """Raise ManifestError when there is a problem; the first hundred are spelled out."""
        if self.problems:
            raise _refusal(self.problems)


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
        data = read_bytes(str(source))
        input_roots = input_roots or [_folder(str(source))]
    if not input_roots:
        raise ValueError("a manifest given as bytes has no folder: name an input root")
    (_, header), *lines = _table(_decoded(data))
    reader = _RowReader(_columns(header), _Inputs(input_roots), default_format)
    rows = tuple(row for line, cells in lines if (row := reader.read(line, cells)))
    return Manifest(rows, tuple(reader.problems), hashlib.sha256(data).hexdigest())


def plan_rows(
    ambiences: Sequence[str],
    musics: Sequence[str],
    *,
    default_format: AudioFormat = OutputConfig.format,
) -> list[ManifestRow]:
    """Return every ambience on every music, with unique ids."""
    taken: set[str] = set()
    rows = []
    for line, (ambience, music) in enumerate(itertools.product(ambiences, musics), start=2):
        name = _unique(default_id(ambience, music), taken)
        output = f"{name}.{default_format}"
        rows.append(ManifestRow(line=line, id=name, ambience=ambience, music=music, output=output))
    return rows


def write_manifest(rows: Iterable[ManifestRow], stream: TextIO) -> None:
    """Write rows as CSV: the required columns and those that any row makes use of."""
    cells = [_cells(row) for row in rows]
    used = {name for row in cells for name in row} | {"id", "ambience", "music"}
    columns = [name for name in COLUMNS if name in used] + sorted(used - set(COLUMNS))
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)


def expand_globs(patterns: Iterable[str]) -> list[str]:
    """Files that patterns name, each pattern's in order; raises ManifestError for none."""
    found: dict[str, None] = {}
    for pattern in patterns:
        # Path.glob takes no absolute pattern.
        matches = sorted(filter(os.path.isfile, glob.iglob(pattern, recursive=True)))  # noqa: PTH207
        if not matches:
            raise ManifestError(
                f'no file matches "{pattern}"; quote a pattern so that the shell leaves it alone',
                code="no_match",
            )
        found.update(dict.fromkeys(PurePath(path).as_posix() for path in matches))
    return list(found)


def missing_inputs(rows: Iterable[ManifestRow]) -> list[RowProblem]:
    """A problem for each local input that is not there; buckets are not asked."""
    return [
        RowProblem(row.line, row.id, column, uri, "there is no such file", "not_found")
        for row in rows
        for column, uri in (("ambience", row.ambience), ("music", row.music))
        if not is_remote(uri) and not local(uri).is_file()
    ]


def default_id(ambience: str, music: str) -> str:
    """Return ``<ambience stem>__<music stem>``, in the characters an id may have."""
    return f"{_slug(ambience)}__{_slug(music)}"


class _Inputs:
    """Where inputs may lie; the answer for each distinct cell is kept."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.base = roots[0] if is_remote(roots[0]) else str(local(roots[0]))
        self.prefixes = tuple(root.rstrip("/") + "/" for root in roots if is_remote(root))
        folders = (os.path.realpath(local(root)) for root in roots if not is_remote(root))
        self.folders = tuple(folder.rstrip("/") + "/" for folder in folders)
        self.known: dict[str, str] = {}

    def resolve(self, cell: str) -> str:
        """Return the absolute place of an input, links followed."""
        if cell not in self.known:
            self.known[cell] = self._resolve(cell)
        return self.known[cell]

    def _resolve(self, cell: str) -> str:
        rule = _unsafe(cell)
        scheme, separator, _ = cell.partition("://")
        if separator and scheme not in {"s3", "file"}:
            rule = f"{scheme}:// is not read; give a path or an s3:// URI"
        if rule:
            raise _broken("unsafe_path", rule)
        place = cell if separator or cell.startswith("/") else join(self.base, cell)
        allowed = self.prefixes if place.startswith("s3://") else self.folders
        if not place.startswith("s3://"):
            place = os.path.realpath(local(place))
        if not place.startswith(allowed):
            roots = ", ".join(self.folders + self.prefixes)
            raise _broken("outside_root", f"lies outside the input roots ({roots})")
        return place


class _RowReader:
    """Checks row after row, with what has been seen so far."""

    def __init__(
        self, columns: Sequence[str], inputs: _Inputs, default_format: AudioFormat
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
        values["extra"] = {name: cell for name, cell in given.items() if name not in COLUMNS}
        values.setdefault("id", default_id(given.get("ambience", ""), given.get("music", "")))
        before = len(self.problems)
        if len(cells) != len(self.columns):
            rule = f"has {len(cells)} cells, the header has {len(self.columns)}"
            self._report(values, "", f"{rule}; quote cells that hold a comma", "row_length")
            return None
        self._claim(values, "id", self.ids)
        row = self._validate(values | self._completed(values), own=values.keys())
        if row and len(self.problems) == before:
            self._claim(values | {"output": row.output}, "output", self.outputs)
        return row if len(self.problems) == before else None

    def _report(self, values: dict[str, Any], column: str, rule: str, code: str) -> None:
        value = str(values.get(column, "")) if column else ""
        problem = RowProblem(values["line"], values["id"], column, value, rule, code)
        self.problems.append(problem)

    def _claim(self, values: dict[str, Any], column: str, seen: dict[str, int]) -> None:
        name = unicodedata.normalize("NFC", values[column]).lower()
        first = seen.setdefault(name, values["line"])
        if first != values["line"]:
            rule = f"is already used in line {first}; each row needs its own, whatever the case"
            self._report(values, column, rule, f"duplicate_{column}")

    def _completed(self, values: dict[str, Any]) -> dict[str, Any]:
        if "output" not in values:
            return {"output": f"{values['id']}.{values.get('format', self.default_format)}"}
        suffix = _suffix(values["output"])
        return {"format": values.get("format", suffix if suffix in _FORMATS else None)}

    def _validate(self, values: dict[str, Any], *, own: Container[str]) -> ManifestRow | None:
        try:
            return ManifestRow.model_validate(values, context=self.inputs)
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


def _refusal(problems: Sequence[RowProblem]) -> ManifestError:
    lines = [str(problem) for problem in problems[:MAX_MESSAGES]]
    if len(problems) > MAX_MESSAGES:
        lines.append(f"and {len(problems) - MAX_MESSAGES} more")
    codes = {problem.code for problem in problems}
    code = codes.pop() if len(codes) == 1 else "bad_manifest"
    return ManifestError("\n".join(lines), code=code, problems=problems)


def _folder(source: str) -> str:
    return source.rpartition("/")[0] if is_remote(source) else str(local(source).absolute().parent)


def _suffix(output: str) -> str:
    return os.path.splitext(output)[1][1:].lower()  # noqa: PTH122  # five times pathlib's speed


def _unsafe(cell: str) -> str | None:
    """Return the rule that a path breaks wherever it stands, or None."""
    if _CONTROL.search(cell):
        return "holds a control character"
    if "\\" in cell:
        return "holds a backslash; write / between folders"
    if cell.startswith("~"):
        return "starts with ~, which is not expanded; write the folder out"
    return "holds .., which may lead anywhere" if ".." in cell.split("/") else None


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


def _table(text: str) -> list[tuple[int, list[str]]]:
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
        raise _refusal(problems)
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


@functools.lru_cache(maxsize=1 << 16)
def _slug(path: str) -> str:
    stem = PurePosixPath(path).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("._-")[:45]
    # A stem in another script leaves nothing: its hash still tells it from the next one.
    return slug or hashlib.sha256(stem.encode()).hexdigest()[:8]


def _unique(name: str, taken: set[str]) -> str:
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    free = next(candidate for candidate in names if candidate.lower() not in taken)
    taken.add(free.lower())
    return free


def _cells(row: ManifestRow) -> dict[str, str]:
    values = row.model_dump(exclude_defaults=True, exclude={"line", "extra", "output"})
    if PurePosixPath(row.output).stem != row.id:
        values["output"] = row.output
    cells = {name: str(value) for name, value in values.items()}
    return cells | row.extra
