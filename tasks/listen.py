"""Share what the listening page shows of a pair: its picture, and previews of its inputs.

::

    <output>/listen/<sha256 of the result>.webp     waveforms and mels of the three sounds
    <output>/listen/<name>.mp3                      an input that the page cannot link to

Every process that renders pairs writes these files next to the output, under names that follow
from the report.
"""

import logging

from nst_core.audio.preview import write_preview
from nst_core.errors import NSTError
from nst_core.transfer.analysis import load_recording
from tasks.jobs.listen import PREVIEW_S
from tasks.jobs.pair import AnalysisJob, BlendJob, PairJob, parts_of
from tasks.report.page.places import (
    ambience_preview_name,
    link_to,
    music_preview_name,
    picture_name,
)
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.storage.files import describe, publish
from tasks.storage.store import Record
from tasks.storage.uris import join

logger = logging.getLogger(__name__)


def share_pair(job: PairJob, workspace: Workspace) -> None:
    """Publish the picture of a finished pair, and previews of inputs that need them.

    The page is a convenience: if one of its files cannot be written, that is logged, and the
    page lacks it.

    Raises
    ------
    StorageError
        ``lease_lost`` if another run has taken the folder.
    """
    audio = workspace.store.find(*job.audio)
    if not job.output_folder or audio is None:
        return
    try:
        _share_picture(job, audio, workspace)
        if _needs_preview(job, job.music):
            length_s = float(audio.meta["duration_s"])
            name = music_preview_name(job.music.sha256, job.music.start_s, length_s)
            _share_preview(job, job.music, name, workspace)
        if _needs_preview(job, job.ambience):
            sha256s = [part.sha256 for part, _ in parts_of(job.ambience)]
            name = ambience_preview_name(sha256s, audio.sha256)
            _share_preview(job, job.ambience, name, workspace)
    except NSTError as error:
        if error.code == "lease_lost":
            raise
        logger.warning("the listening page lacks a part of %s: %s", job.row_id, error)


def _share_picture(job: PairJob, audio: Record, workspace: Workspace) -> None:
    drawn = workspace.store.find(*job.picture)
    place = join(job.output_folder, picture_name(audio.sha256))
    if drawn is None or describe(place) is not None:
        return
    with artefact(job.picture, workspace) as picture:
        publish(picture, place, before=job.check_claim)


def _needs_preview(job: PairJob, source: AnalysisJob | BlendJob) -> bool:
    """Return whether the page plays an input from a preview; a blend has no file of its own."""
    if job.listen == "none":
        return False
    place = source.uri if isinstance(source, AnalysisJob) else ""
    return job.listen == "previews" or not link_to(place, job.output_folder)


def _share_preview(
    job: PairJob, source: AnalysisJob | BlendJob, name: str, workspace: Workspace
) -> None:
    place = join(job.output_folder, name)
    if describe(place) is not None:
        return
    with artefact(source, workspace) as path, workspace.scratch_folder() as folder:
        preview = folder / "preview.mp3"
        sound = load_recording(path)
        write_preview(preview, sound.y, sound.sr, at_most_s=PREVIEW_S)
        publish(preview, place, before=job.check_claim)
