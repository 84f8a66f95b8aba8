"""Columns of a manifest in words: all of them, with ranges that the rows really have."""

import re

import pytest
from pydantic import ValidationError

from tasks.manifest.columns import columns
from tasks.manifest.row import COLUMNS, ROW, ManifestRow

CELLS = {"line": 2, "id": "a", "ambience": "r.wav", "music": "t.wav", "output": "a.wav"}


def test_every_column_is_described_and_the_needed_ones_come_first() -> None:
    names = [each.name.strip("`") for each in columns()]
    assert names[:2] == ["ambience", "music"]
    assert sorted(names[:-1]) == sorted(COLUMNS)
    assert all(each.default and each.rule for each in columns())


def read(name: str, cell: str) -> ManifestRow:
    return ROW.validate_python({**CELLS, name: cell})


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        (each.name.strip("`"), *found.groups())
        for each in columns()
        if (found := re.match(r"(-?[\d.]+) to (-?[\d.]+)", each.rule))
    ],
)
def test_a_range_in_words_is_the_range_of_the_cell(name: str, low: str, high: str) -> None:
    for cell in (low, high):
        assert getattr(read(name, cell), name) == float(cell)
    for cell in (f"{float(low) - 1:.0f}", f"{float(high) + 1:.0f}"):
        with pytest.raises(ValidationError):
            read(name, cell)
