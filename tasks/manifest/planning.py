"""Plan a manifest that pairs every ambience, or blend, with every music and every setting."""

import csv
import functools
import glob
import hashlib
import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TextIO

from nst_core.classifier.sound_files import SOUND_SUFFIXES, files_below, is_sound
from nst_core.config import AudioFormat, OutputConfig
from tasks.manifest.cells import (
    SEPARATOR,
    Ambiences,
    CellError,
    forms,
    read_ambiences,
    split_ambiences,
    unsafe,
)
from tasks.manifest.problems import ManifestError
from tasks.manifest.row import COLUMNS, ManifestRow
from tasks.manifest.settings import Settings, variants
from tasks.storage.credentials import refuse_login

_NO_SETTINGS: Settings = {}
_LONGEST_STEM = 92
"""Length of an id without the number that makes it unique."""
_MOST_NAMED = 10


def plan_rows(
    ambiences: Sequence[Ambiences],
    musics: Sequence[str],
    *,
    default_format: AudioFormat = OutputConfig.format,
    settings: Settings = _NO_SETTINGS,
) -> list[ManifestRow]:
    """Return a row for every pair of an ambience and a music, with unique ids.

    Parameters
    ----------
    settings
        Values of further columns. Each combination of them is a row of its own; the id ends with
        the values of the columns that have several.

    Raises
    ------
    ConfigError
        As for `tasks.manifest.settings.variants`.
    ManifestError
        ``bad_name``: a manifest cannot name a file, or its cell would name another blend.
    """
    check_names([*(place for each in ambiences for place in each.places), *musics])
    for ambience in ambiences:
        _check_cell(ambience)
    taken: set[str] = set()
    rows = []
    each_row = itertools.product(ambiences, musics, variants(settings))
    for line, (ambience, music, variant) in enumerate(each_row, start=2):
        stem = default_id(str(ambience), music)[: _LONGEST_STEM - len(variant.suffix)]
        name = _unique(stem + variant.suffix, taken)
        output = f"{name}.{variant.cells.get('format', default_format)}"
        given = {"line": line, "id": name, "ambience": ambience, "music": music, "output": output}
        rows.append(ManifestRow(**given, **variant.cells))
    return rows


def check_names(paths: Iterable[str]) -> None:
    """Refuse files that no cell of a manifest can name; raise ManifestError ``bad_name``."""
    bad = {path: rule for path in paths if (rule := _broken_name(path))}
    if bad:
        shown = [f"{path!a} {rule}" for path, rule in itertools.islice(bad.items(), _MOST_NAMED)]
        more = [f"and {len(bad) - _MOST_NAMED} more"] if len(bad) > _MOST_NAMED else []
        message = "; ".join(["a manifest cannot name these files, rename them", *shown, *more])
        raise ManifestError(message, code="bad_name")


def _broken_name(path: str) -> str | None:
    if path != path.strip():
        return "begins or ends with a space"
    if not path.isascii() and path.encode(errors="replace").decode() != path:
        return "is not UTF-8"
    return unsafe(path)


def _check_cell(ambience: Ambiences) -> None:
    try:
        read = read_ambiences(str(ambience))
    except CellError as error:
        raise ManifestError(f'ambience "{ambience}" {error.rule}', code=error.code) from None
    if read != ambience:
        raise ManifestError(
            f'ambience "{ambience}" would be read as another blend, because the name of a file '
            'contains " + " or "*"; rename it',
            code="bad_name",
        )


def write_manifest(rows: Iterable[ManifestRow], stream: TextIO) -> None:
    """Write rows as CSV: the required columns and those that at least one row uses."""
    cells = [_cells(row) for row in rows]
    used = {name for row in cells for name in row} | {"id", "ambience", "music"}
    columns = [name for name in COLUMNS if name in used] + sorted(used - set(COLUMNS))
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)


def expand_ambiences(patterns: Iterable[str], *, absolutely: bool = False) -> list[Ambiences]:
    """Return the ambiences that match patterns; raise ManifestError if a pattern matches no file.

    ``rain/*.wav*2 + wind/*.wav`` pairs every rain with every wind, weighted as in a manifest's
    cell.
    """
    found: dict[Ambiences, None] = {}
    for pattern in patterns:
        refuse_login("a pattern", pattern)
        # A single ambience has no weight: the star belongs to the pattern.
        is_blend = SEPARATOR in pattern and not Path(pattern).exists()
        parts = split_ambiences(pattern) if is_blend else [(pattern, 1.0)]
        weights = tuple(weight for _, weight in parts)
        matches = (expand_globs([part], absolutely=absolutely) for part, _ in parts)
        choices = itertools.product(*matches)
        found.update(dict.fromkeys(Ambiences(places, weights) for places in choices))
    return list(found)


def expand_globs(patterns: Iterable[str], *, absolutely: bool = False) -> list[str]:
    """Return the files that match patterns, sorted per pattern; raise ManifestError for none.

    A path that exists is itself before it is a pattern, and a folder means its sounds.

    Parameters
    ----------
    patterns
        Paths of files and folders, and patterns.
    absolutely
        Return absolute paths; by default they are relative where the pattern is.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        refuse_login("a pattern", pattern)
        paths = _matches(pattern)
        found.update(dict.fromkeys(_as_cell(path, absolutely=absolutely) for path in paths))
    return list(found)


def _as_cell(path: Path, *, absolutely: bool) -> str:
    """Return a path as a manifest may name it: without ``..``, and without ``~`` at its start."""
    if ".." in path.parts:
        return (path.parent.resolve() / path.name).as_posix()
    text = (path.absolute() if absolutely else path).as_posix()
    return f"./{text}" if text.startswith("~") else text


def _matches(pattern: str) -> list[Path]:
    for path in map(Path, forms(pattern)):
        if path.is_file():
            return [path]
        if path.is_dir():
            return _sounds_in(path)
    # Path.glob accepts no absolute pattern.
    matches = sorted(filter(os.path.isfile, glob.iglob(pattern, recursive=True)))  # noqa: PTH207
    if not matches:
        raise ManifestError(
            f'no file matches "{pattern}"; quote patterns, so that the shell leaves them alone',
            code="no_match",
        )
    return [Path(match) for match in matches]


def _sounds_in(folder: Path) -> list[Path]:
    """Return the sound files of a folder and of the folders in it."""
    sounds = sorted(path for path in files_below(folder) if is_sound(path))
    if not sounds:
        raise ManifestError(
            f'folder "{folder}" contains no {", ".join(SOUND_SUFFIXES)} file', code="no_match"
        )
    return sounds


def default_id(ambience: str, music: str) -> str:
    """Return ``<ambience stem>__<music stem>``, in the characters that an id may contain.

    The stems of several ambiences are joined by hyphens.
    """
    return f"{_blend_slug(ambience)}__{_slug(PurePosixPath(music).stem)}"


@functools.lru_cache(maxsize=1 << 16)
def _blend_slug(cell: str) -> str:
    return _slug("-".join(PurePosixPath(path).stem for path, _ in split_ambiences(cell)))


@functools.lru_cache(maxsize=1 << 16)
def _slug(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("._-")[:45]
    # Nothing is left of a stem in another script; its hash still keeps stems apart.
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
