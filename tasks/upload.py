"""Upload a pair: publish the finished audio under its name, completely or not at all."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from nst_core import ALGORITHM_VERSION, __version__
from tasks.finished import is_published
from tasks.jobs.pair import AnalysisJob, BlendJob, PairJob, parts_of
from tasks.running.caching import artefact, missing
from tasks.running.workspace import Workspace
from tasks.storage.credentials import scrub
from tasks.storage.files import publish
from tasks.storage.seal import sealed
from tasks.storage.store import Record


@dataclass(frozen=True)
class Published:
    """A published output."""

    uri: str
    sha256: str
    size: int


def upload_pair(job: PairJob, workspace: Workspace) -> Published:
    """Publish audio and provenance, unless the right bytes are already there.

    Raises
    ------
    StorageError
        ``lease_lost`` if another run has taken the folder, or the store fails.
    """
    record = workspace.store.find(*job.audio)
    if record is None:
        raise missing(job.audio, workspace)
    if not is_published(job, record):
        with artefact(job.audio, workspace) as audio, workspace.scratch_folder() as folder:
            provenance = folder / "provenance.json"
            provenance.write_text(_provenance(job, record), "utf-8")
            publish(audio, job.output_uri, before=job.check_claim)
            publish(provenance, job.provenance_uri, before=job.check_claim)
    return Published(job.output_uri, record.sha256, record.size)


def _provenance(job: PairJob, record: Record) -> str:
    facts: dict[str, Any] = {
        "id": job.row_id,
        "sha256": record.sha256,
        "music": _input_facts(job.music),
        "ambience": _ambience_facts(job.ambience),
        "model_sha256": job.model_sha256,
        "transfer": {"strength": job.strength, **dataclasses.asdict(job.config)},
        "output": dataclasses.asdict(job.output),
        "figures": dict(record.meta),
        "keys": {"transfer": job.transfer.key, "audio": job.audio.key},
        "amnst": __version__,
        "algorithm": ALGORITHM_VERSION,
    }
    return json.dumps(sealed(facts), indent=2, allow_nan=False) + "\n"


def _ambience_facts(ambience: AnalysisJob | BlendJob) -> Any:
    """Return the facts of one ambience, or a list for several, with their shares."""
    if isinstance(ambience, AnalysisJob):
        return _input_facts(ambience)
    return [{**_input_facts(part), "share": share} for part, share in parts_of(ambience)]


def _input_facts(job: AnalysisJob) -> dict[str, Any]:
    return {
        "uri": scrub(job.uri),
        "sha256": job.sha256,
        "start_s": job.start_s,
        "duration_s": job.duration_s,
    }
