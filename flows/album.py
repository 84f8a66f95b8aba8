"""Album: a catalogue whose results keep the differences in loudness between their music."""

import dataclasses

from flows.catalog import Catalog
from flows.progress import listener
from nst_core.errors import AudioError, SignalError
from tasks.jobs.identities import identify_patiently
from tasks.jobs.loudness import LoudnessJob
from tasks.loudness import measure_loudness
from tasks.manifest.album import Measured, pieces_of, with_album_gain
from tasks.running.workspace import Workspace
from tasks.storage.store import Record


def as_album(catalog: Catalog, workspace: Workspace) -> Catalog:
    """Return a catalogue whose rows ask for the loudness that they have in the album.

    All enabled rows of the manifest make the album, whichever are rendered now, so a row that is
    rendered alone gets the same loudness. Shards carry their rows, so workers measure nothing.

    Without a loudness there is nothing to do: each result is as loud as its music.
    """
    target_lufs = catalog.request.sound.loudness_lufs
    if not catalog.request.album or target_lufs is None:
        return catalog
    listener().stage("measure music")
    pieces = pieces_of(catalog.manifest.rows)
    known = identify_patiently({piece.music for piece in pieces}, str(workspace.scratch_root()))
    runs = {
        piece: measure_loudness.submit(
            LoudnessJob(
                uri=piece.music,
                sha256=sha256,
                start_s=piece.start_s,
                duration_s=piece.duration_s,
            ),
            workspace,
        )
        for piece in pieces
        if isinstance(sha256 := known[piece.music], str)
    }
    measured = {}
    for piece, run in runs.items():
        found = run.result(raise_on_failure=False)
        if isinstance(found, Record):
            measured[piece] = Measured(found.meta["loudness_lufs"], found.meta["duration_s"])
        elif not isinstance(found, AudioError | SignalError):
            raise found  # the file may be a good one, and its rows must not get another loudness
    rows = with_album_gain(catalog.rows, measured, target_lufs)
    return dataclasses.replace(catalog, rows=tuple(rows))
