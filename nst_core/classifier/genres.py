"""Folder of genres: its tracks, their artists and the hashes of their contents."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nst_core.checksum import sha256_of
from nst_core.classifier.sound_files import (
    SOUND_SUFFIXES,
    files_below,
    files_in,
    is_sound,
    subfolders,
)
from nst_core.errors import AudioError, DatasetError

_ROOTS = ("genres", "genres_original", "Data/genres_original")
_TRACKS_CSV = "tracks.csv"
_PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Names of the parts of a dataset that somebody has split; we make our own split."""


@dataclass(frozen=True)
class Track:
    """Sound file of a genre; `sha256` is the hash of its content."""

    path: Path
    genre: str
    artist: str | None
    sha256: str


@dataclass(frozen=True)
class GenreIndex:
    """Tracks under `root`, sorted by genre and file name."""

    root: Path
    genres: tuple[str, ...]
    tracks: tuple[Track, ...]
    passed_over: tuple[tuple[str, int], ...] = ()
    """Suffixes of the other files, each with its number of files."""


def find_genre_root(folder: str | Path) -> Path:
    """Find the folder whose subfolders are the genres.

    The sounds of a genre may be in folders of albums. Looks for ``genres/``,
    ``genres_original/``, ``Data/genres_original/`` (GTZAN and its copies), then for genre folders
    in `folder` itself. If `folder` contains a single folder, as an unpacked archive does, that one
    is looked at first.

    Raises
    ------
    DatasetError
        ``no_genres``: no folder with sound files in any of these places.
    """
    top = Path(folder)
    for place in _places(top) if top.is_dir() else ():
        for root in (*(place / name for name in _ROOTS), place):
            if root.is_dir() and _has_genres(root):
                return root
    state = "contains no genre folders" if top.is_dir() else "is not a folder"
    raise DatasetError(
        f'dataset "{folder}" {state}: a folder per genre with {" ".join(SOUND_SUFFIXES)} files is '
        f"needed, in it or in {', '.join(_ROOTS)}",
        code="no_genres",
    )


def _places(top: Path) -> list[Path]:
    """Return a dataset's folder, and before it the only folder in it if that holds the genres."""
    inner = subfolders(top)
    is_wrapper = len(inner) == 1 and not any(map(is_sound, files_in(inner[0])))
    return [inner[0], top] if is_wrapper else [top]


def _has_genres(root: Path) -> bool:
    return any(next(_sound_files(genre), None) for genre in subfolders(root))


def index_genres(folder: str | Path) -> GenreIndex:
    """List and hash the tracks of a genre tree.

    A ``tracks.csv`` next to the genre folders or in `folder` (columns file, genre, artist)
    names the artists. Files are decoded only later; see `check_unreadable`.

    Raises
    ------
    DatasetError
        ``no_genres``; ``one_genre``: training needs at least two genres; ``bad_tracks_csv``:
        a column is missing, a genre contradicts the folder, or no row matches a file.
    """
    root = find_genre_root(folder)
    files = {path: genre.name for genre in subfolders(root) for path in _sound_files(genre)}
    genres = tuple(sorted(set(files.values())))
    _check_genres(root, genres)
    artists = _read_artists(root, Path(folder), files)
    tracks = [
        Track(path=path, genre=genre, artist=artists.get(path), sha256=sha256_of(path))
        for path, genre in files.items()
    ]
    return GenreIndex(root, genres, tuple(tracks), tuple(sorted(_others(root).items())))


def _sound_files(folder: Path) -> Iterator[Path]:
    """Yield the tracks of a genre, of which some may be in folders of albums."""
    return filter(is_sound, files_below(folder))


def _others(root: Path) -> Counter[str]:
    """Count the files that are no tracks, and the sounds that are in no genre folder."""
    below = (path for genre in subfolders(root) for path in files_below(genre))
    others = Counter(path.suffix.lower() for path in below if not is_sound(path))
    loose = (path for path in files_in(root) if is_sound(path))
    others.update(f"{path.suffix.lower()} in no genre folder" for path in loose)
    return others


def _check_genres(root: Path, genres: Sequence[str]) -> None:
    if len(genres) == 1:
        raise DatasetError(
            f'dataset "{root}" has one genre ({genres[0]}), but training needs at least two; '
            "add a folder of another genre",
            code="one_genre",
        )
    if _PARTS.issuperset(genre.lower() for genre in genres):
        raise DatasetError(
            f'the folders of dataset "{root}" ({", ".join(genres)}) are parts of a split, not '
            "genres; pass the folder that contains the genres, with all their tracks",
            code="no_genres",
        )


def _read_artists(root: Path, folder: Path, files: dict[Path, str]) -> dict[Path, str]:
    table = next((d / _TRACKS_CSV for d in (root, folder) if (d / _TRACKS_CSV).is_file()), None)
    if table is None:
        return {}
    rows = _csv_rows(table)
    missing = {"file", "artist"} - set(rows[0] if rows else ())
    if missing:
        _refuse_csv(table, f"has no column {', '.join(sorted(missing))}, or no rows")
    named = {table.parent / row["file"]: row for row in rows}
    known = {path: row for path, row in named.items() if path in files}
    if not known:
        _refuse_csv(table, f'names no file in "{root}" (paths are relative to the table)')
    for path, row in known.items():
        if row.get("genre", files[path]) != files[path]:
            _refuse_csv(table, f"lists {row['file']} as {row['genre']}, but it is in {files[path]}")
    artists = {path: row["artist"].strip() for path, row in known.items()}
    return {path: artist for path, artist in artists.items() if artist}


def _csv_rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as fh:
            return list(csv.DictReader(fh, restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        _refuse_csv(table, f"is not CSV in UTF-8 ({error})")


def _refuse_csv(table: Path, reason: str) -> NoReturn:
    raise DatasetError(f'"{table}" {reason}; correct or remove it', code="bad_tracks_csv")


def check_unreadable(unreadable: Sequence[AudioError], n_tracks: int, folder: str | Path) -> None:
    """Accept a dataset if few of its files cannot be read: at most 1 % of them, or two.

    Parameters
    ----------
    unreadable
        Error of the loader for each refused file.
    n_tracks
        Number of files in the index, including the refused ones.
    folder
        Name of the dataset for the message.

    Raises
    ------
    DatasetError
        ``too_many_unreadable``, with the first five reasons.
    """
    allowed = max(2, n_tracks // 100)
    if len(unreadable) > allowed:
        first = "; ".join(map(str, unreadable[:5]))
        raise DatasetError(
            f'dataset "{folder}": {len(unreadable)} of {n_tracks} tracks cannot be read, at '
            f"most {allowed} may be skipped; fetch it again or remove them. First: {first}",
            code="too_many_unreadable",
        )
