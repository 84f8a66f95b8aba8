"""How a manifest names its inputs, and which folders they may come from.

A cell names one ambience or several, separated by ``" + "``. A ``*`` and a number after
an ambience give its weight: ``rain.wav*2 + wind.wav``.
"""

import math
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nst_core.errors import NSTError
from tasks.storage.uris import is_absent_here, is_remote, join, local

SEPARATOR = " + "
_MOST_AMBIENCES = 8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class CellError(NSTError, ValueError):
    """Error of a cell that breaks a rule; the message is the rule.

    It is a ValueError because pydantic's validators report only those.
    """

    @property
    def rule(self) -> str:
        """Rule that the cell breaks, such as ``must be given``."""
        return str(self)


def unsafe(cell: str) -> str | None:
    """Return the rule that a path breaks in any column, or None."""
    if _CONTROL.search(cell):
        return "contains a control character"
    if "\\" in cell:
        return "contains a backslash; write / between folders"
    if cell.startswith("~"):
        return "starts with ~, which is not expanded; write the full path"
    return "contains .., which may lead out of the folder" if ".." in cell.split("/") else None


def forms(path: str) -> tuple[str, ...]:
    """Return a path and its two Unicode forms.

    A Mac stores an accent as a character of its own, other systems as a part of the letter. The
    two look the same, but are different names on a disk.
    """
    return path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)


@dataclass(frozen=True, slots=True)
class Ambiences:
    """Places of a row's ambiences, and the weight of each; a single one has the weight 1."""

    places: tuple[str, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        """Return the text of a cell that names them."""
        pairs = zip(self.places, self.weights, strict=True)
        return SEPARATOR.join(
            place if weight == 1 else f"{place}*{repr(weight).removesuffix('.0')}"
            for place, weight in pairs
        )


def split_ambiences(cell: str) -> list[tuple[str, float]]:
    """Return each path that a cell names, with its weight; check nothing."""
    return [_weighted(part.strip()) for part in cell.split(SEPARATOR)]


def _weighted(part: str) -> tuple[str, float]:
    path, star, number = part.rpartition("*")
    try:
        return (path.strip(), float(number)) if star else (part, 1.0)
    except ValueError:
        return part, 1.0  # the star belongs to the name


def read_ambiences(cell: str, resolve: Callable[[str], str] = str) -> Ambiences:
    """Check a cell and return the ambiences that it names.

    Parameters
    ----------
    cell
        Text in the manifest.
    resolve
        Returns the place of a path; raises CellError for a path that must not be read.
    """
    parts = split_ambiences(cell)
    if len(parts) > _MOST_AMBIENCES:
        rule = f"names {len(parts)} ambiences; at most {_MOST_AMBIENCES} are allowed"
        raise CellError(rule, code="bad_value")
    for path, weight in parts:
        if not path:
            rule = f'names no file on one side of "{SEPARATOR}" or "*"'
            raise CellError(rule, code="bad_value")
        if not (math.isfinite(weight) and weight > 0):
            rule = f'gives "{path}" the weight {weight:g}; a weight must be above 0'
            raise CellError(rule, code="bad_value")
    if len(parts) == 1:
        return Ambiences((resolve(parts[0][0]),), (1.0,))
    places = tuple(_resolved(path, resolve) for path, _ in parts)
    return Ambiences(places, tuple(weight for _, weight in parts))


def _resolved(path: str, resolve: Callable[[str], str]) -> str:
    try:
        return resolve(path)
    except CellError as error:
        raise CellError(f'names "{path}", which {error.rule}', code=error.code) from error


class InputRoots:
    """Folders and prefixes that inputs may come from; remembers the answer for each cell."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.base = roots[0] if is_remote(roots[0]) else str(local(roots[0]))
        self.prefixes = tuple(root.rstrip("/") + "/" for root in roots if is_remote(root))
        folders = (os.path.realpath(local(root)) for root in roots if not is_remote(root))
        self.folders = tuple(folder.rstrip("/") + "/" for folder in folders)
        self.known: dict[str, str] = {}
        self.known_ambiences: dict[str, Ambiences] = {}

    def resolve(self, cell: str) -> str:
        """Return the absolute place of an input, with links resolved."""
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
            rule = f"{scheme}:// is not supported; give a path or an s3:// URI"
        if rule:
            raise CellError(rule, code="unsafe_path")
        place = self._place(cell)
        if not cell.isascii() and not place.startswith("s3://"):
            found = (self._place(form) for form in forms(cell))
            place = next((each for each in found if not is_absent_here(each)), place)
        allowed = self.prefixes if place.startswith("s3://") else self.folders
        if not place.startswith("s3://"):
            place = os.path.realpath(local(place))
        if not place.startswith(allowed):
            roots = ", ".join(self.folders + self.prefixes)
            raise CellError(
                f"is outside the input roots ({roots}); name its folder with --input-root",
                code="outside_root",
            )
        return place

    def _place(self, cell: str) -> str:
        is_whole = "://" in cell or cell.startswith("/")
        return cell if is_whole else join(self.base, cell)
