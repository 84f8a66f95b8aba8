"""Decimal commas: a spreadsheet that separates columns by semicolons writes 0,5 for half."""

import re
from typing import Any

from tasks.manifest.row import DECIMALS

_DECIMAL = re.compile(r"(-?\d+),(\d+)")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2},\d{3}")


class Decimals:
    """Reader of decimal commas in a file; in one with commas between the columns, there are none.

    Attributes
    ----------
    were_found
        Whether a cell had one.
    """

    def __init__(self, separator: str) -> None:
        self._columns = frozenset() if separator == "," else DECIMALS
        self.were_found = False

    def replace_commas(self, values: dict[str, Any]) -> None:
        """Write a row's numbers with a decimal point, except those that may mean thousands.

        ``1,500`` may be one and a half or fifteen hundred, so the row's own check refuses it.
        """
        for name in self._columns & values.keys():
            number = _DECIMAL.fullmatch(values[name])
            if number and not _THOUSANDS.fullmatch(values[name]):
                values[name] = f"{number[1]}.{number[2]}"
                self.were_found = True
