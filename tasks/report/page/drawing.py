"""Draw the pictures that a page lacks, from the sound files that a report names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from nst_core.audio.reading import read_long_audio
from nst_core.config import AudioLimits, MelConfig
from nst_core.errors import NSTError
from nst_core.metrics.small_picture import draw_small
from nst_core.streaming.arrays import Sliceable
from nst_core.transfer.analysis import analyse
from nst_core.transfer.blending import blend
from tasks.manifest.cells import SEPARATOR, split_ambiences
from tasks.report.page.data import MADE, Row, rows_of
from tasks.report.page.places import picture_name
from tasks.report.tables import output_of
from tasks.running.workspace import Workspace
from tasks.storage.files import describe, fetch_input, publish
from tasks.storage.uris import join


class Drawn(NamedTuple):
    """A row whose picture was missing; `problem` is empty if it is drawn now."""

    name: str
    problem: str


def draw_missing(table: pa.Table, workspace: Workspace, output_uri: str) -> Iterator[Drawn]:
    """Draw the picture of each rendered row that has none, and yield the row.

    A row whose sounds cannot be read, or have changed since, stays without a picture.
    """
    named = (output_of(table) or output_uri).rstrip("/") + "/"
    for row in rows_of(table):
        if row["status"] not in MADE or not row["output"].startswith(named):
            continue
        place = join(output_uri, picture_name(row["sha256"]))
        if describe(place) is not None:
            continue
        result = join(output_uri, row["output"].removeprefix(named))
        try:
            _draw(row, result, place, workspace)
        except NSTError as error:
            yield Drawn(row["id"], str(error))
        else:
            yield Drawn(row["id"], "")


def _draw(row: Row, result: str, place: str, workspace: Workspace) -> None:
    mel = MelConfig()
    with workspace.scratch_folder() as scratch:
        section = {"start_s": row["start_s"] or 0.0, "duration_s": row["duration_s"]}
        music = _read(row["music"], row["music_sha256"], scratch, **section)
        parts = split_ambiences(row["ambience"])
        sha256s = row["ambience_sha256"].split(SEPARATOR)
        longest = {"at_most_s": AudioLimits.max_ambience_s}
        ambiences = [
            analyse(_read(part, sha256, scratch, **longest), mel, name=part, scratch=scratch)
            for (part, _), sha256 in zip(parts, sha256s, strict=True)
        ]
        ambience = blend(ambiences, [weight for _, weight in parts], mel)
        picture = scratch / "picture.webp"
        y = _read(result, row["sha256"], scratch)
        draw_small(picture, [ambience.y, music, y], mel.sr)
        publish(picture, place)


def _read(place: str, sha256: str, scratch: Path, **section: float | None) -> Sliceable:
    options: dict[str, Any] = {"sr": MelConfig().sr, "mono": True, "scratch": scratch, **section}
    with fetch_input(place, scratch) as path:
        return read_long_audio(path, sha256=sha256, **options).y
