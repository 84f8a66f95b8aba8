"""Read what results take from their music's file: rate, tags and cover."""

import json
import logging
from pathlib import Path

from nst_core.audio.origin import Origin, read_origin
from nst_core.errors import AudioError
from tasks.jobs.pair import OriginJob
from tasks.running.caching import artefact, produce
from tasks.running.workspace import Workspace
from tasks.storage.credentials import scrub
from tasks.storage.files import fetch_input
from tasks.storage.store import Json

logger = logging.getLogger(__name__)


def keep_origin(job: OriginJob, source: Path, workspace: Workspace) -> None:
    """Store the facts about a music file that is at hand."""

    def make(path: Path) -> dict[str, Json]:
        return _write(job, source, path)

    produce(job, workspace, "json", make)


def origin_of(job: OriginJob, workspace: Workspace) -> Origin:
    """Return the facts about a music file; the file is fetched only if they are not stored.

    Raises
    ------
    AudioError
        ``changed`` if the file is not the one that was hashed.
    StorageError
        The file or the store cannot be read.
    """

    def make(path: Path) -> dict[str, Json]:
        with fetch_input(job.uri, path.parent) as source:
            return _write(job, source, path)

    produce(job, workspace, "json", make)
    with artefact(job, workspace) as path:
        return Origin.from_json(json.loads(path.read_bytes()))


def _write(job: OriginJob, source: Path, path: Path) -> dict[str, Json]:
    try:
        origin = read_origin(source, sha256=job.sha256)
    except AudioError as error:
        # A remote file is read from a temporary copy, whose name means nothing to the user.
        raise AudioError(error.code, job.uri, error.reason) from error
    for warning in origin.warnings:
        logger.warning("music %s: %s", scrub(job.uri), warning)
    path.write_text(json.dumps(origin.to_json()), "utf-8")
    return {"sample_rate": origin.sr, "warnings": list(origin.warnings)}
