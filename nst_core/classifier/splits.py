"""Split tracks for training and validation without leaks.

A classifier recognises a recording, an album or an artist more easily than a genre. All tracks
of an artist, and all copies of a file, therefore stay on the same side of every split.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from nst_core.classifier.genres import Track
from nst_core.errors import DatasetError


@dataclass(frozen=True)
class Split:
    """Two sets of tracks that share no artist and no content."""

    train: tuple[Track, ...]
    validation: tuple[Track, ...]


def split_tracks(tracks: Sequence[Track], *, validation_share: float, seed: int) -> Split:
    """Split into training and validation tracks, by artist if known, else by track.

    Parameters
    ----------
    tracks
        Tracks of at least two genres.
    validation_share
        0..0.5; the nearest ``1 / n`` is used, as far as the artists' sizes allow.
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

    Artists and copies of a file are never divided: tracks that are connected through either, in
    any genre, form one group.

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
        f"(tracks of one artist and copies count once), but each genre needs at least {n_folds}; "
        "add tracks",
        code="too_few_tracks",
    )


def _groups_per_genre(tracks: Sequence[Track]) -> Counter[str]:
    if not tracks:
        raise DatasetError("there are no tracks to split; add some", code="too_few_tracks")
    pairs = {(track.genre, group) for track, group in zip(tracks, _groups(tracks), strict=True)}
    return Counter(genre for genre, _ in pairs)


def _groups(tracks: Sequence[Track]) -> npt.NDArray[np.int32]:
    """Give each track the number of its component of "same artist or same content"."""
    columns: dict[str, int] = {}
    rows, keys = [], []
    for row, track in enumerate(tracks):
        names = [f"content {track.sha256}"]
        if track.artist:
            names.append(f"artist {track.artist.casefold()}")
        for name in names:
            rows.append(row)
            keys.append(len(tracks) + columns.setdefault(name, len(columns)))
    n = len(tracks) + len(columns)  # tracks, artists and contents are the nodes of one graph
    edges = coo_array((np.ones(len(rows), bool), (rows, keys)), shape=(n, n))
    _, group = connected_components(edges, directed=False)
    of_tracks: npt.NDArray[np.int32] = group[: len(tracks)]
    return of_tracks
