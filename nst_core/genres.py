"""A folder of genres: its tracks, their artists and what they hold."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nst_core.checksum import sha256_of
from nst_core.errors import AudioError, DatasetError

SOUND_SUFFIXES = (".au", ".wav", ".ogg", ".flac", ".mp3")
"""Of a dataset's sound files, in a folder or an archive."""
_ROOTS = ("genres", "genres_original", "Data/genres_original")
_TRACKS_CSV = "tracks.csv"


@dataclass(frozen=True)
class Track:
    """One sound file of a genre; its content decides `sha256`."""

    path: Path
    genre: str
    artist: str | None
    sha256: str


@dataclass(frozen=True)
class GenreIndex:
    """The tracks under `root`, sorted by genre and file name."""

    root: Path
    genres: tuple[str, ...]
    tracks: tuple[Track, ...]


def find_genre_root(folder: str | Path) -> Path:
    """Find the folder whose subfolders are the genres.

    Looks for ``genres/``, ``genres_original/``, ``Data/genres_original/`` (GTZAN and its
    copies), then for genre folders in `folder` itself, then the same one level down where
    `folder` holds a single folder, as an unpacked archive does.

    Raises
    ------
    DatasetError
        ``no_genres``: no folder with sound files in any of these places.
    """
    top = Path(folder)
    places = [top]
    if top.is_dir():
        inner = _subfolders(top)
        places += inner if len(inner) == 1 else []
    for place in places:
        for root in (*(place / name for name in _ROOTS), place):
            if root.is_dir() and any(_sound_files(genre) for genre in _subfolders(root)):
                return root
    state = "holds no genre folders" if top.is_dir() else "is not a folder"
    raise DatasetError(
        f'dataset "{folder}" {state}: a folder per genre with {" ".join(SOUND_SUFFIXES)} files is '
        f"needed, in it or in {', '.join(_ROOTS)}",
        code="no_genres",
    )


def index_genres(folder: str | Path) -> GenreIndex:
    """List and hash the tracks of a genre tree.

    A ``tracks.csv`` beside the genre folders or in `folder` (columns file, genre, artist)
    gives the artists. Whether a file can be decoded shows when it is: see `check_unreadable`.

    Raises
    ------
    DatasetError
        ``no_genres``; ``one_genre``: there is nothing to tell apart; ``bad_tracks_csv``:
        a column is missing, a genre contradicts the folder, or no row fits any file.
    """
    root = find_genre_root(folder)
    files = {path: genre.name for genre in _subfolders(root) for path in _sound_files(genre)}
    genres = tuple(sorted(set(files.values())))
    if len(genres) == 1:
        raise DatasetError(
            f'dataset "{root}" has one genre ({genres[0]}), at least two are needed to tell '
            "apart; add a folder of another genre",
            code="one_genre",
        )
    artists = _read_artists(root, Path(folder), files)
    tracks = [
        Track(path=path, genre=genre, artist=artists.get(path), sha256=sha256_of(path))
        for path, genre in files.items()
    ]
    return GenreIndex(root=root, genres=genres, tracks=tuple(tracks))


def _subfolders(folder: Path) -> list[Path]:
    hidden = (".", "__MACOSX")
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(hidden))


def _sound_files(folder: Path) -> list[Path]:
    # macOS archives carry a "._name.wav" of metadata beside every file.
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SOUND_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
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
        _refuse_csv(table, f'names no file of "{root}" (paths are relative to the table)')
    for path, row in known.items():
        if row.get("genre", files[path]) != files[path]:
            _refuse_csv(table, f"says {row['genre']} of {row['file']}, which lies in {files[path]}")
    artists = {path: row["artist"].strip() for path, row in known.items()}
    return {path: artist for path, artist in artists.items() if artist}


def _csv_rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as fh:
            return list(csv.DictReader(fh, restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        _refuse_csv(table, f"is not CSV in UTF-8 ({error})")


def _refuse_csv(table: Path, reason: str) -> NoReturn:
    raise DatasetError(f'"{table}" {reason}; mend or remove it', code="bad_tracks_csv")


def check_unreadable(unreadable: Sequence[AudioError], n_tracks: int, folder: str | Path) -> None:
    """Let a dataset pass if few of its files cannot be read: 1 % of them, or two.

    Parameters
    ----------
    unreadable
        What the loader said of each file that it refused.
    n_tracks
        All files of the index, the refused ones included.
    folder
        Named in the message.

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
