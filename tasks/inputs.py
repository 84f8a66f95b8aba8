"""How a manifest names its inputs, and where they may lie.

A cell names one ambience or several, separated by ``" + "``. A ``*`` and a number after
one is its weight: ``rain.wav*2 + wind.wav``.
"""

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from tasks.files import is_remote, join, local

SEPARATOR = " + "
_MOST_AMBIENCES = 8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def broken(code: str, rule: str) -> PydanticCustomError:
    """What a cell that breaks a rule raises within pydantic."""
    return PydanticCustomError("cell", "{rule}", {"rule": rule, "code": code})


def unsafe(cell: str) -> str | None:
    """Return the rule that a path breaks wherever it stands, or None."""
    if _CONTROL.search(cell):
        return "holds a control character"
    if "\\" in cell:
        return "holds a backslash; write / between folders"
    if cell.startswith("~"):
        return "starts with ~, which is not expanded; write the folder out"
    return "holds .., which may lead anywhere" if ".." in cell.split("/") else None


@dataclass(frozen=True, slots=True)
class Ambiences:
    """Where a row's ambiences are, and the weight of each; a single one weighs 1."""

    places: tuple[str, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        """As a cell names them."""
        pairs = zip(self.places, self.weights, strict=True)
        return SEPARATOR.join(
            place if weight == 1 else f"{place}*{repr(weight).removesuffix('.0')}"
            for place, weight in pairs
        )


def split_ambiences(cell: str) -> list[tuple[str, float]]:
    """Each path that a cell names, with its weight; nothing is checked."""
    return [_weighted(part.strip()) for part in cell.split(SEPARATOR)]


def _weighted(part: str) -> tuple[str, float]:
    path, star, number = part.rpartition("*")
    try:
        return (path.strip(), float(number)) if star else (part, 1.0)
    except ValueError:
        return part, 1.0  # a star within a name


def read_ambiences(cell: str, resolve: Callable[[str], str] = str) -> Ambiences:
    """Check a cell.

    Parameters
    ----------
    cell
        As the manifest has it.
    resolve
        From each path to its place; raises for one that must not be read.
    """
    parts = split_ambiences(cell)
    if len(parts) > _MOST_AMBIENCES:
        raise broken("bad_value", f"names {len(parts)} ambiences, {_MOST_AMBIENCES} at most")
    for path, weight in parts:
        if not path:
            raise broken("bad_value", f'names no file on one side of "{SEPARATOR}" or "*"')
        if not (math.isfinite(weight) and weight > 0):
            rule = f'gives "{path}" the weight {weight:g}; a weight is a number above 0'
            raise broken("bad_value", rule)
    if len(parts) == 1:
        return Ambiences((resolve(parts[0][0]),), (1.0,))
    places = tuple(_resolved(path, resolve) for path, _ in parts)
    return Ambiences(places, tuple(weight for _, weight in parts))


def _resolved(path: str, resolve: Callable[[str], str]) -> str:
    try:
        return resolve(path)
    except PydanticCustomError as error:
        context = error.context or {}
        raise broken(context["code"], f'names "{path}", which {context["rule"]}') from error


class InputRoots:
    """Folders and prefixes; the answer for each distinct cell is kept."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.base = roots[0] if is_remote(roots[0]) else str(local(roots[0]))
        self.prefixes = tuple(root.rstrip("/") + "/" for root in roots if is_remote(root))
        folders = (os.path.realpath(local(root)) for root in roots if not is_remote(root))
        self.folders = tuple(folder.rstrip("/") + "/" for folder in folders)
        self.known: dict[str, str] = {}
        self.known_ambiences: dict[str, Ambiences] = {}

    def resolve(self, cell: str) -> str:
        """Return the absolute place of an input, links followed."""
        if cell not in self.known:
            self.known[cell] = self._resolve(cell)
        return self.known[cell]

    def ambiences(self, cell: str) -> Ambiences:
        """Return the absolute places that a cell names."""
        if cell not in self.known_ambiences:
            self.known_ambiences[cell] = read_ambiences(cell, self.resolve)
        return self.known_ambiences[cell]

    def _resolve(self, cell: str) -> str:
        rule = unsafe(cell)
        scheme, separator, _ = cell.partition("://")
        if separator and scheme not in {"s3", "file"}:
            rule = f"{scheme}:// is not read; give a path or an s3:// URI"
        if rule:
            raise broken("unsafe_path", rule)
        place = cell if separator or cell.startswith("/") else join(self.base, cell)
        allowed = self.prefixes if place.startswith("s3://") else self.folders
        if not place.startswith("s3://"):
            place = os.path.realpath(local(place))
        if not place.startswith(allowed):
            roots = ", ".join(self.folders + self.prefixes)
            raise broken(
                "outside_root",
                f"lies outside the input roots ({roots}); name its folder with --input-root",
            )
        return place
