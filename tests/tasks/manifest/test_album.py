"""Rows of an album: which loudness each asks for."""

import dataclasses
import math

import pytest

from nst_core.audio.loudness import album_lufs
from tasks.manifest.album import Measured, Piece, pieces_of, with_album_gain
from tasks.manifest.cells import read_ambiences
from tasks.manifest.row import ManifestRow

RAIN = read_ambiences("/in/rain.wav")


def _row(music: str, **cells: object) -> ManifestRow:
    values = {"line": 2, "id": music, "ambience": RAIN, "output": f"{music}.wav"}
    return ManifestRow(**values, music=music, **cells)


LOUD, QUIET = Piece("loud", 0.0, None), Piece("quiet", 0.0, None)


def test_the_album_reaches_the_loudness_and_keeps_its_differences() -> None:
    measured = {LOUD: Measured(-10.0, 60.0), QUIET: Measured(-22.0, 120.0)}
    loud, quiet = with_album_gain([_row("loud"), _row("quiet")], measured, -20.0)
    assert loud.loudness_lufs - quiet.loudness_lufs == pytest.approx(12.0, abs=0.02)
    together = album_lufs([(loud.loudness_lufs, 60.0), (quiet.loudness_lufs, 120.0)])
    assert together == pytest.approx(-20.0, abs=0.02)


def test_pieces_of_equal_loudness_get_that_of_the_album() -> None:
    measured = {LOUD: Measured(-14.0, 60.0), QUIET: Measured(-14.0, 600.0)}
    rows = with_album_gain([_row("loud"), _row("quiet")], measured, -23.0)
    assert [row.loudness_lufs for row in rows] == [-23.0, -23.0]


def test_a_row_alone_gets_the_loudness_that_it_has_in_the_album() -> None:
    measured = {LOUD: Measured(-10.0, 60.0), QUIET: Measured(-22.0, 120.0)}
    rows = [_row("loud"), _row("quiet")]
    assert with_album_gain(rows[1:], measured, -20.0) == with_album_gain(rows, measured, -20.0)[1:]


def test_each_piece_counts_once_and_rows_with_their_own_loudness_not_at_all() -> None:
    rows = [
        _row("loud"),
        dataclasses.replace(_row("loud"), id="again"),
        _row("quiet", start_s=5.0),
        _row("own", loudness_lufs=-30.0),
        _row("off", enabled=False),
    ]
    assert pieces_of(rows) == [LOUD, Piece("quiet", 5.0, None)]
    (own,) = with_album_gain(rows[3:4], {LOUD: Measured(-10.0, 1.0)}, -20.0)
    assert own.loudness_lufs == -30.0


@pytest.mark.parametrize("measured", [{}, {QUIET: Measured(None, 10.0)}])
def test_music_without_a_loudness_changes_no_row(measured: dict[Piece, Measured]) -> None:
    rows = [_row("quiet")]
    assert with_album_gain(rows, measured, -20.0) == rows


def test_a_loudness_stays_within_its_range() -> None:
    measured = {LOUD: Measured(-3.0, 1.0), QUIET: Measured(-69.0, 999.0)}
    loud, quiet = with_album_gain([_row("loud"), _row("quiet")], measured, -1.0)
    assert loud.loudness_lufs == 0.0
    assert -70 <= quiet.loudness_lufs <= 0


def test_an_album_without_pieces_is_silent() -> None:
    assert album_lufs([]) == album_lufs([(-math.inf, 3.0)]) == -math.inf
