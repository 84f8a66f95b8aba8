"""Rows of an album: one gain for all of them, so that loud pieces stay louder than quiet ones."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nst_core.audio.loudness import album_lufs
from nst_core.config import HIGHEST_LUFS, LOWEST_LUFS
from tasks.manifest.row import ManifestRow


class Piece(NamedTuple):
    """Section of a piece of music, which several rows may share."""

    music: str
    start_s: float
    duration_s: float | None


class Measured(NamedTuple):
    """Loudness and duration of a piece; the loudness is None for silence."""

    lufs: float | None
    duration_s: float


def pieces_of(rows: Iterable[ManifestRow]) -> list[Piece]:
    """Return the pieces of an album, each once: those of the rows that have no own loudness."""
    return list(dict.fromkeys(map(piece_of, filter(_is_of_album, rows))))


def piece_of(row: ManifestRow) -> Piece:
    """Return the piece of a row."""
    return Piece(row.music, row.start_s, row.duration_s)


def with_album_gain(
    rows: Sequence[ManifestRow], measured: Mapping[Piece, Measured], target_lufs: float
) -> list[ManifestRow]:
    """Return rows whose `loudness_lufs` is that of their music plus the album's gain.

    The gain brings all measured pieces together to the target. Rows with a loudness of their own
    keep it; so do rows whose music could not be measured, which fail when they are rendered.

    Parameters
    ----------
    rows
        Rows to render.
    measured
        All pieces of the album, including those of rows that are not rendered now.
    target_lufs
        Loudness of the album.
    """
    known = {p: m.lufs for p, m in measured.items() if m.lufs is not None}
    gain_db = target_lufs - album_lufs((known[p], measured[p].duration_s) for p in known)
    return [
        dataclasses.replace(row, loudness_lufs=_in_range(known[piece_of(row)] + gain_db))
        if _is_of_album(row) and piece_of(row) in known
        else row
        for row in rows
    ]


def _is_of_album(row: ManifestRow) -> bool:
    return row.enabled and row.loudness_lufs is None


def _in_range(lufs: float) -> float:
    """Return a loudness that a row may have, rounded, so that machines agree on it."""
    return round(min(max(lufs, LOWEST_LUFS), HIGHEST_LUFS), 2)
