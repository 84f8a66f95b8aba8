"""Find the pairs that are already finished, and forget results that are to be made again."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tasks.jobs.pair import PairJob
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import describe, read_if_present, sha256_file
from tasks.storage.places import Description
from tasks.storage.seal import parsed, unsealed
from tasks.storage.store import Record
from tasks.storage.uris import is_remote, local_text


class Finished(NamedTuple):
    """Records of a finished pair."""

    audio: Record
    transfer: Record


def find_finished(job: PairJob, workspace: Workspace) -> Finished | None:
    """Return the records of a pair if transfer and audio exist and the output is published."""
    store = workspace.store
    audio = store.find(*job.audio)
    neural = audio and store.find(*job.transfer)
    try:
        done = audio and neural and is_published(job, audio)
    except StorageError as error:
        if error.transient:
            raise
        return None  # an output that cannot be checked fails its own row, when it is uploaded
    return Finished(audio, neural) if audio and neural and done else None


def seems_finished(job: PairJob, workspace: Workspace) -> bool:
    """Return whether `find_finished` will likely find a pair, without hashing its output."""
    if describe(job.output_uri) is None:
        return False
    audio = workspace.store.find(*job.audio)
    if audio is None or not workspace.store.exists(*job.transfer):
        return False
    return is_published(job, audio, by_hash=False)


def needs_transfer(jobs: Iterable[PairJob], workspace: Workspace) -> bool:
    """Return whether a pair needs a neural transfer; another strength alone needs none."""
    return any(not workspace.store.exists(*job.transfer) for job in jobs)


def forget(jobs: Iterable[PairJob], workspace: Workspace) -> None:
    """Delete the pairs' own results, so that they are made again; keep the analyses."""
    for job in jobs:
        for made in (job.audio, job.transfer):
            workspace.store.delete(*made)


def is_published(job: PairJob, record: Record, *, by_hash: bool = True) -> bool:
    """Return whether the published output is the recorded one, with matching provenance.

    A local output is hashed, because outputs of the same length have the same size. A remote
    one, or a local one without `by_hash`, is trusted if its size is right and its provenance was
    written later.
    """
    audio, provenance = describe(job.output_uri), read_if_present(job.provenance_uri)
    if audio is None or audio.size != record.size or provenance is None:
        return False
    if _claim(provenance) != {"id": job.row_id, "sha256": record.sha256}:
        return False
    if is_remote(job.output_uri) or not by_hash:
        return not _is_newer(audio, describe(job.provenance_uri))
    return sha256_file(local_text(job.output_uri)) == record.sha256


def _claim(provenance: bytes) -> dict[str, Any]:
    """Return the id and sha256 in a provenance file; empty if the file was changed."""
    try:
        facts = unsealed(parsed(provenance))
    except ValueError:
        return {}
    return {name: facts.get(name) for name in ("id", "sha256")}


def _is_newer(audio: Description, provenance: Description | None) -> bool:
    return provenance is None or (audio.modified_s or 0.0) > (provenance.modified_s or 0.0)
