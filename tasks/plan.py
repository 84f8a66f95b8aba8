"""A plan: every ambience, or blend of them, on every music, as a manifest."""

import csv
import functools
import glob
import hashlib
import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePath, PurePosixPath
from typing import TextIO

from pydantic_core import PydanticCustomError

from nst_core.config import AudioFormat, OutputConfig
from tasks.inputs import SEPARATOR, Ambiences, read_ambiences, split_ambiences
from tasks.problems import ManifestError
from tasks.row import COLUMNS, ManifestRow


def plan_rows(
    ambiences: Sequence[Ambiences],
    musics: Sequence[str],
    *,
    default_format: AudioFormat = OutputConfig.format,
) -> list[ManifestRow]:
    """Return every ambience on every music, with unique ids.

    Raises
    ------
    ManifestError
        For an ambience that a manifest would not read as the one that is meant.
    """
    for ambience in ambiences:
        _check_cell(ambience)
    taken: set[str] = set()
    rows = []
    for line, (ambience, music) in enumerate(itertools.product(ambiences, musics), start=2):
        name = _unique(default_id(str(ambience), music), taken)
        output = f"{name}.{default_format}"
        rows.append(ManifestRow(line=line, id=name, ambience=ambience, music=music, output=output))
    return rows


def _check_cell(ambience: Ambiences) -> None:
    try:
        read = read_ambiences(str(ambience))
    except PydanticCustomError as error:
        context = error.context or {}
        raise ManifestError(
            f'ambience "{ambience}" {context["rule"]}', code=context["code"]
        ) from None
    if read != ambience:
        raise ManifestError(
            f'ambience "{ambience}" would be read as another blend, for " + " or "*" in the name '
            "of a file; rename it",
            code="bad_name",
        )


def write_manifest(rows: Iterable[ManifestRow], stream: TextIO) -> None:
    """Write rows as CSV: the required columns and those that any row makes use of."""
    cells = [_cells(row) for row in rows]
    used = {name for row in cells for name in row} | {"id", "ambience", "music"}
    columns = [name for name in COLUMNS if name in used] + sorted(used - set(COLUMNS))
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)


def expand_ambiences(patterns: Iterable[str]) -> list[Ambiences]:
    """Ambiences that patterns name; raises ManifestError for a pattern of no file.

    ``rain/*.wav*2 + wind/*.wav`` is every rain with every wind, weighted as a manifest's cell.
    """
    found: dict[Ambiences, None] = {}
    for pattern in patterns:
        # Without another beside it nothing has a weight: the star is the pattern's.
        parts = split_ambiences(pattern) if SEPARATOR in pattern else [(pattern, 1.0)]
        weights = tuple(weight for _, weight in parts)
        choices = itertools.product(*(expand_globs([part]) for part, _ in parts))
        found.update(dict.fromkeys(Ambiences(places, weights) for places in choices))
    return list(found)


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


def default_id(ambience: str, music: str) -> str:
    """Return ``<ambience stem>__<music stem>``, in the characters an id may have.

    Of several ambiences the stems stand side by side.
    """
    return f"{_blend_slug(ambience)}__{_slug(PurePosixPath(music).stem)}"


@functools.lru_cache(maxsize=1 << 16)
def _blend_slug(cell: str) -> str:
    return _slug("-".join(PurePosixPath(path).stem for path, _ in split_ambiences(cell)))


@functools.lru_cache(maxsize=1 << 16)
def _slug(stem: str) -> str:
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
    plain = ManifestRow(line=0, id=row.id, ambience=row.ambience, music=row.music, output="_.wav")
    named = {name: str(getattr(row, name)) for name in ("id", "ambience", "music")}
    own = {
        name: str(getattr(row, name))
        for name in COLUMNS
        if name not in named and name != "output" and getattr(row, name) != getattr(plain, name)
    }
    if row.output != f"{row.id}.{OutputConfig.format}":
        own["output"] = row.output
    return named | own | row.extra
