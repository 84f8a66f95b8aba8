"""Settings of a plan: cells that every row gets, and several values of a column, one row each."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from nst_core.errors import ConfigError
from tasks.manifest.row import COLUMNS, ROW
from tasks.manifest.rules import broken_rule, unknown_column
from tasks.storage.credentials import refuse_login

Settings = Mapping[str, Sequence[str]]
"""Values of each column; several of them multiply the rows."""

_OF_A_ROW = ("id", "ambience", "music", "output")
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9.-]+")

_LONGEST, _LONGEST_SUFFIX = 20, 60
"""Characters of a value in an id, and of all values."""


class Variant(NamedTuple):
    """Cells that a row gets, and what its id ends with."""

    cells: dict[str, Any]
    suffix: str


def read_settings(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each column from texts such as ``seed=7``.

    Raises
    ------
    ConfigError
        ``bad_value``: a text is not ``column=value``.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        refuse_login("--set", text)
        column, equals, value = text.partition("=")
        if not equals or not value.strip():
            message = f'--set "{text}" must be column=value, such as loudness_lufs=-18'
            raise ConfigError(message, code="bad_value")
        found.setdefault(column.strip().lower(), []).append(value.strip())
    return found


def variants(settings: Settings) -> list[Variant]:
    """Return every combination of the values, in the order of the manifest's columns.

    Only columns with several values are part of the ids.

    Raises
    ------
    ConfigError
        ``unknown_column``, ``bad_value``: a value breaks the rule of its column, or is given
        twice.
    """
    columns = sorted(settings, key=lambda name: (name not in COLUMNS, _place(name), name))
    for name in columns:
        _check_column(name, settings[name])
    combinations = itertools.product(*(settings[name] for name in columns))
    return [_variant(dict(zip(columns, values, strict=True)), settings) for values in combinations]


def _place(column: str) -> int:
    return COLUMNS.index(column) if column in COLUMNS else 0


def _check_column(name: str, values: Sequence[str]) -> None:
    if rule := unknown_column(name):
        raise ConfigError(f'column "{name}" {rule}', code="unknown_column")
    if name in _OF_A_ROW:
        message = f'column "{name}" differs from row to row; edit the manifest instead'
        raise ConfigError(message, code="bad_value")
    if len(set(values)) < len(values):
        message = f"{name} has a value twice: {' '.join(values)}; give each value once"
        raise ConfigError(message, code="bad_value")


def _variant(cells: dict[str, str], settings: Settings) -> Variant:
    own = {name: cell for name, cell in cells.items() if name in COLUMNS}
    extra = {name: cell for name, cell in cells.items() if name not in COLUMNS}
    suffix = "".join(
        f"__{_NOT_IN_AN_ID.sub('_', cell)[:_LONGEST]}"
        for name, cell in cells.items()
        if len(settings[name]) > 1
    )
    output = f"x.{own.get('format', 'wav')}"
    inputs = {"line": 0, "id": "x", "ambience": "x", "music": "x", "output": output}
    try:
        ROW.validate_python(inputs | own)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        column = str(first["loc"][0]) if first["loc"] else ""
        named = f'{column} "{cells[column]}" ' if column in cells else ""
        rule, code = broken_rule(first)
        raise ConfigError(f"{named}{rule}", code=code) from None
    return Variant({**own, **({"extra": extra} if extra else {})}, suffix[:_LONGEST_SUFFIX])
