"""Columns of a manifest in words, for the documentation; `row` has the rules themselves."""

import dataclasses
from typing import NamedTuple

from nst_core.config import (
    CONTROLS,
    DEFAULT_PRESET,
    DEFAULT_STRENGTH,
    PRESETS,
    SUBTYPES,
    AudioLimits,
    CarrierConfig,
    OutputConfig,
    TransferConfig,
)
from tasks.manifest.row import COLUMNS, TRANSFER_FIELDS


class Column(NamedTuple):
    """One column: the value of an empty cell, and the rule for others."""

    name: str
    default: str
    rule: str


_SUBTYPES = "; ".join(f"`{name}`: {', '.join(each)}" for name, each in SUBTYPES.items())
_NAMES_OF_PRESETS = ", ".join(f"`{name}`" for name in PRESETS)
_DESCRIBED = {
    "ambience": (
        "required",
        "path or `s3://`; up to eight at once, in any proportion: `rain.wav*2 + wind.wav`",
    ),
    "music": ("required", "path or `s3://`"),
    "id": (
        "`<ambience>__<music>`",
        "names the output; unique, ignoring case; 1 to 100 letters, digits, `.`, `_` and `-`",
    ),
    "output": ("`{id}.{format}`", "relative to the output folder, unique"),
    "enabled": ("`true`", "`false` skips the row"),
    "preset": (f"command line, else `{DEFAULT_PRESET}`", f"one of {_NAMES_OF_PRESETS}"),
    "strength": (
        f"command line, else {DEFAULT_STRENGTH:g}",
        (
            "0 (the music itself) to 1 (the ambience plays it), or a curve over time such as "
            "`0:0.2;30:0.8`: seconds and strengths, with straight lines between them"
        ),
    ),
    "start": ("preset", "`carrier`, `music`, `ambience`, `noise` or `mix`"),
    "start_s": ("0", "where the section of the music begins, in seconds, 0 or more"),
    "duration_s": (
        "to the end",
        f"length of the section of the music in seconds, {AudioLimits.min_duration_s:g} or more",
    ),
    "sample_rate": ("command line", "{range} Hz"),
    "format": ("command line", ", ".join(f"`{name}`" for name in SUBTYPES)),
    "subtype": (
        "that of the format",
        f"one of the format: {_SUBTYPES}",
    ),
    "loudness_lufs": ("command line", "{range} LUFS; by default as loud as the music"),
}


def columns() -> list[Column]:
    """Return every column of a manifest, those that a row needs first.

    Raises
    ------
    LookupError
        A column is neither described here nor a number of the configuration.
    """
    names = sorted(COLUMNS, key=lambda name: name not in {"ambience", "music"})
    return [*map(_column, names), Column("`note`, `tags`, `x_*`", "empty", _PASSED_ON)]


_HELP = {
    each.name: each.metadata["description"]
    for config in (TransferConfig, CarrierConfig)
    for each in dataclasses.fields(config)
    if each.name in CONTROLS
}
"""What each control of the sound does."""
_PASSED_ON = "any text; passed through to the report"


def _column(name: str) -> Column:
    ranges = _ranges()
    if name in _DESCRIBED:
        default, rule = _DESCRIBED[name]
        return Column(f"`{name}`", default, rule.format(range=ranges.get(name, "")))
    if name not in ranges:
        raise LookupError(f"describe the column {name!r} in tasks/manifest/columns.py")
    said = _HELP.get(name) or f"`{TRANSFER_FIELDS[name]}` of the transfer"
    return Column(f"`{name}`", "preset", f"{ranges[name]}: {said}")


def _ranges() -> dict[str, str]:
    """Return the range of each column that is a number of the configuration."""
    fields = {each.name: each for each in dataclasses.fields(OutputConfig)}
    configs = (TransferConfig, CarrierConfig)
    own = {each.name: each for config in configs for each in dataclasses.fields(config)}
    fields |= {column: own[name] for column, name in TRANSFER_FIELDS.items()}
    return {
        name: f"{plain(each.metadata['ge'])} to {plain(each.metadata['le'])}"
        for name, each in fields.items()
        if "ge" in each.metadata
    }


def plain(number: float) -> str:
    """Return a number as one writes it into a cell, without an exponent."""
    return f"{number:.10f}".rstrip("0").rstrip(".")
