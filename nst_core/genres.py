"""A folder of genres: what is in it, and how to split it without fooling oneself.

A classifier recognises a recording, an album or an artist before it recognises a genre.
Tracks of one artist, and copies of one file, therefore stay on one side of every split.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

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


@dataclass(frozen=True)
class Split:
    """Two sides that share no artist and no content."""

    train: tuple[Track, ...]
    validation: tuple[Track, ...]


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


def split_tracks(tracks: Sequence[Track], *, validation_share: float, seed: int) -> Split:
    """Split into training and validation tracks, by artist where known, else by track.

    Parameters
    ----------
    tracks
        Of two genres at least.
    validation_share
        0..0.5; the nearest ``1 / n`` is taken, the artists' sizes permitting.
    seed
        The same tracks and seed always give the same split.

    Raises
    ------
    DatasetError
        ``too_few_tracks``: a genre would be missing on one side.
    """
    n_groups = _groups_per_genre(tracks)
    n_folds = min(round(1.0 / validation_share), *n_groups.values())
    return k_folds(tracks, max(n_folds, 2), seed)[0]


def k_folds(tracks: Sequence[Track], n_folds: int, seed: int) -> tuple[Split, ...]:
    """Split into folds for cross-validation, stratified by genre.

    Artists and copies of one file are never divided: what is connected through either, in
    whatever genre, is one group.

    Raises
    ------
    DatasetError
        ``too_few_tracks``: a genre has fewer groups than folds, or a side lacks a genre.
    """
    for genre, n_groups in sorted(_groups_per_genre(tracks).items()):
        if n_groups < n_folds:
            _refuse_split(tracks, f"genre {genre} has {n_groups} independent tracks", n_folds)
    genres = np.array([track.genre for track in tracks])
    folder = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    splits = tuple(
        Split(train=_pick(tracks, train), validation=_pick(tracks, validation))
        for train, validation in folder.split(genres, genres, _groups(tracks))
    )
    for side in (side for split in splits for side in (split.train, split.validation)):
        lacking = set(genres.tolist()) - {track.genre for track in side}
        if lacking:
            _refuse_split(tracks, f"no {', '.join(sorted(lacking))} is left on a side", n_folds)
    return splits


def _pick(tracks: Sequence[Track], rows: Iterable[int]) -> tuple[Track, ...]:
    return tuple(tracks[row] for row in rows)


def _refuse_split(tracks: Sequence[Track], reason: str, n_folds: int) -> NoReturn:
    raise DatasetError(
        f"the dataset of {len(tracks)} tracks cannot be split into {n_folds} parts: {reason} "
        f"(tracks of one artist and copies count once), at least {n_folds} per genre are "
        "needed; add tracks",
        code="too_few_tracks",
    )


def _groups_per_genre(tracks: Sequence[Track]) -> Counter[str]:
    if not tracks:
        raise DatasetError("there are no tracks to split; add some", code="too_few_tracks")
    pairs = {(track.genre, group) for track, group in zip(tracks, _groups(tracks), strict=True)}
    return Counter(genre for genre, _ in pairs)


def _groups(tracks: Sequence[Track]) -> list[int]:
    """Give each track the number of its component of "same artist or same content"."""
    group = list(range(len(tracks)))

    def root_of(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    first_seen: dict[str, int] = {}
    for i, track in enumerate(tracks):
        keys = [f"content {track.sha256}"]
        if track.artist:
            keys.append(f"artist {track.artist.casefold()}")
        for key in keys:
            group[root_of(i)] = root_of(first_seen.setdefault(key, i))
    return [root_of(i) for i in range(len(tracks))]
