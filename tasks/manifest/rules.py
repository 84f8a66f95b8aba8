"""Rules of cells in words, and which columns there are."""

import difflib

from pydantic_core import ErrorDetails

from tasks.manifest.cells import CellError
from tasks.manifest.row import COLUMNS

_RULES = {
    "missing": "must be given",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number with fewer digits",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge:g} or more",
}
"""Our message for each type of pydantic error that a cell can cause."""


def broken_rule(error: ErrorDetails) -> tuple[str, str]:
    """Return the rule that a cell breaks, and the error code, from pydantic's report."""
    context = error.get("ctx", {})
    if isinstance(cell_error := context.get("error"), CellError):
        return cell_error.rule, cell_error.code
    rule = _RULES.get(error["type"], "is not a value that this column accepts")
    return rule.format_map(context), "bad_value"


def unknown_column(name: str) -> str | None:
    """Return why a name is not one of a manifest's columns, with a way out; None if it is one."""
    if name in COLUMNS or name in {"note", "tags"} or name[:2] == "x_":
        return None
    close = difflib.get_close_matches(name, COLUMNS, n=1)
    way_out = f'did you mean "{close[0]}"?' if close else "your own must start with x_"
    return f"is not a known column; {way_out}"
