"""Where a manifest's inputs may lie."""

import os
import re
from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from tasks.files import is_remote, join, local

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


class InputRoots:
    """Folders and prefixes; the answer for each distinct cell is kept."""

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
            raise broken("outside_root", f"lies outside the input roots ({roots})")
        return place
