"""Tables of the reference pages, made from the code that they describe."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from flows.cli.app import app
from flows.cli.error_codes import GROUPS
from nst_core import config
from nst_core.config import DEFAULT_PRESET, PRESETS
from nst_core.config.gates import GATES
from tasks.manifest.columns import columns, plain
from tasks.report.columns import markdown_table

_MARK = re.compile(r"^<!-- from the code: ([a-z ]+) -->$", re.MULTILINE)
_CONFIGURATIONS = (
    "TransferConfig", "CarrierConfig", "InversionConfig", "OutputConfig", "MelConfig",
    "AudioLimits", "TrainingConfig", "SegmentConfig", "ClassifierConfig",
)  # fmt: skip


def filled(markdown: str, page: str) -> str:
    """Return a page with its tables.

    Raises
    ------
    LookupError
        The page asks for a table that does not exist.
    """

    def table(found: re.Match[str]) -> str:
        if found[1] not in TABLES:
            raise LookupError(f"{page}: there is no table {found[1]!r}, only {', '.join(TABLES)}")
        return TABLES[found[1]]()

    return _MARK.sub(table, markdown)


def commands() -> str:
    """Return every command with its options, as a part of a page."""
    text = app.generate_docs(output_format="markdown")
    first = text.index("\n## amnst ")
    text = text[first:].replace("```console", "```text").strip()
    # cyclopts repeats in each usage how the running program, `python -m mkdocs`, was started.
    text = re.sub(r"^(amnst \w+) -m \w+", r"\1", text, flags=re.MULTILINE)
    # An asterisk of a pattern such as *.wav is not emphasis.
    return re.sub(r"(?<![*\]\n])\*(?=[.\d])", r"\\*", text)


def manifest_columns() -> str:
    """Return the columns of a manifest: default and rule."""
    return _table(("column", "default", "rule"), columns())


def configuration() -> str:
    """Return a table for each dataclass of the configuration."""
    return "\n\n".join(_of_dataclass(getattr(config, name)) for name in _CONFIGURATIONS)


def _of_dataclass(configuration: type) -> str:
    notes = _notes(configuration)
    rows = [
        (f"`{each.name}`", _default(each), _range(each), _note(each, notes))
        for each in dataclasses.fields(configuration)
    ]
    summary = (inspect.getdoc(configuration) or "").partition("\n\n")[0].replace("\n", " ")
    header = ("field", "default", "range", "meaning")
    return f"## {configuration.__name__}\n\n{summary}\n\n{_table(header, rows)}"


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default is dataclasses.MISSING:
        return "see below"
    return _shown(field.default)


def _range(field: "dataclasses.Field[Any]") -> str:
    metadata = field.metadata
    return f"{plain(metadata['ge'])} to {plain(metadata['le'])}" if "ge" in metadata else ""


def _note(field: "dataclasses.Field[Any]", notes: dict[str, str]) -> str:
    """Return the help that the forms show, and the text below the field in the code."""
    texts = [field.metadata.get("description", ""), notes.get(field.name, "")]
    return ". ".join(text.rstrip(".") for text in texts if text)


def _notes(configuration: type) -> dict[str, str]:
    """Return the texts below the fields of a dataclass, which Python itself does not keep."""
    (definition,) = ast.parse(inspect.getsource(configuration)).body
    found: dict[str, str] = {}
    name = ""
    for each in getattr(definition, "body", ()):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            name = each.target.id
        elif isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and name:
            found[name] = inspect.cleandoc(str(each.value.value)).replace("\n", " ")
        else:
            name = ""
    return found


def presets() -> str:
    """Return the presets, each by the settings in which it differs from the default one."""
    base = PRESETS[DEFAULT_PRESET]
    rows = []
    for name, each in PRESETS.items():
        settings = {field.name: getattr(each, field.name) for field in dataclasses.fields(each)}
        differing = (
            f"`{field}` = {_shown(value)}"
            for field, value in settings.items()
            if value != getattr(base, field)
        )
        rows.append((f"`{name}`", "; ".join(differing) or "all defaults"))
    return _table(("preset", "settings"), rows)


def limits_of_the_verdict() -> str:
    """Return the limits that a pair at strength 1 must reach."""
    rows = ((f"`{name}`", f"{low:g}") for name, low in GATES.items())
    return _table(("figure", "at least"), rows)


def error_codes() -> str:
    """Return all error codes in groups: what each means, and the way out."""
    parts = []
    for title, group in GROUPS.items():
        rows = ((f"`{code}`", each.meaning, each.way_out) for code, each in sorted(group.items()))
        parts.append(f"## {title}\n\n{_table(('code', 'meaning', 'way out'), rows)}")
    return "\n\n".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    return plain(value) if isinstance(value, int | float) else f"`{value}`"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "manifest columns": manifest_columns,
    "configuration": configuration,
    "presets": presets,
    "limits of the verdict": limits_of_the_verdict,
    "report columns": markdown_table,
    "error codes": error_codes,
}
