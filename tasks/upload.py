"""Upload a pair: the finished audio appears under its name, whole or not at all."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from nst_core import ALGORITHM_VERSION, __version__
from tasks.blend import BlendJob, parts_of
from tasks.caching import Workspace, artefact, missing
from tasks.files import (
    Description,
    describe,
    is_remote,
    local_text,
    publish,
    read_if_present,
    scrub,
    sha256_file,
)
from tasks.invert import RenderJob
from tasks.mels import AnalysisJob
from tasks.store import Record


@dataclass(frozen=True, kw_only=True)
class UploadJob:
    """One row of a manifest: what to render and where it goes."""

    row_id: str
    render: RenderJob
    output_uri: str

    @property
    def provenance_uri(self) -> str:
        """The JSON beside the audio that says how it came to be."""
        return f"{self.output_uri}.json"


@dataclass(frozen=True)
class Published:
    """An output that is in its place."""

    uri: str
    sha256: str
    size: int


def upload_pair(job: UploadJob, workspace: Workspace) -> Published:
    """Put audio and provenance in place, unless the right bytes are there already."""
    record = workspace.store.find(job.render.stage, job.render.key)
    if record is None:
        raise missing(job.render, workspace)
    if not is_published(job, record):
        with artefact(job.render, workspace) as audio, workspace.scratch_folder() as folder:
            provenance = folder / "provenance.json"
            provenance.write_text(_provenance(job, record), "utf-8")
            publish(audio, job.output_uri)
            publish(provenance, job.provenance_uri)
    return Published(job.output_uri, record.sha256, record.size)


def is_published(job: UploadJob, record: Record) -> bool:
    """Say whether the output in place is the recorded one, and its provenance tells of it.

    A local output is hashed: outputs of one length are all of one size. A remote one is
    believed if its size is right and its provenance was written later.
    """
    audio, provenance = describe(job.output_uri), read_if_present(job.provenance_uri)
    if audio is None or audio.size != record.size or provenance is None:
        return False
    if _claim(provenance) != {"id": job.row_id, "sha256": record.sha256}:
        return False
    if is_remote(job.output_uri):
        return not _is_newer(audio, describe(job.provenance_uri))
    return sha256_file(local_text(job.output_uri)) == record.sha256


def _claim(provenance: bytes) -> dict[str, Any]:
    """What a provenance file says it belongs to; nothing if it is damaged."""
    try:
        facts = json.loads(provenance)
    except ValueError:
        return {}
    return {name: facts.get(name) for name in ("id", "sha256")} if isinstance(facts, dict) else {}


def _is_newer(audio: Description, provenance: Description | None) -> bool:
    return provenance is None or (audio.modified_s or 0.0) > (provenance.modified_s or 0.0)


def _provenance(job: UploadJob, record: Record) -> str:
    pair = job.render.transfer
    facts: dict[str, Any] = {
        "id": job.row_id,
        "sha256": record.sha256,
        "music": _input_facts(pair.music),
        "ambience": _ambience_facts(pair.ambience),
        "model_sha256": pair.model_sha256,
        "transfer": dataclasses.asdict(pair.config),
        "output": dataclasses.asdict(job.render.output),
        "figures": dict(record.meta),
        "keys": {"transfer": pair.key, "audio": job.render.key},
        "amnst": __version__,
        "algorithm": ALGORITHM_VERSION,
    }
    return json.dumps(facts, indent=2, allow_nan=False) + "\n"


def _ambience_facts(ambience: AnalysisJob | BlendJob) -> Any:
    """Those of the one ambience, or a list of several with their shares."""
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
