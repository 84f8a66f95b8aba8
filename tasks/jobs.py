"""From manifest rows to jobs: which rows are done, which must run, which cannot."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nst_core.blend import shares
from nst_core.config import OutputConfig, TransferConfig, preset
from nst_core.errors import NSTError
from tasks.blend import BlendJob
from tasks.caching import Workspace
from tasks.files import StorageError, is_remote, join, local_text
from tasks.invert import RenderJob
from tasks.mels import AnalysisJob
from tasks.row import ManifestRow
from tasks.store import Record
from tasks.transfer import TransferJob
from tasks.upload import UploadJob, is_published


@dataclass(frozen=True, kw_only=True)
class RenderDefaults:
    """What rows that do not say otherwise are rendered with."""

    preset: str
    transfer: Mapping[str, float]
    """Fields of `TransferConfig` given on the command line or in the form."""
    output: OutputConfig
    model_path: str
    model_sha256: str
    output_uri: str
    inputs: frozenset[str] = frozenset()
    """Every input of the manifest, by `place_of`: no output may take its place."""


def plan_job(
    row: ManifestRow, identities: Mapping[str, str | NSTError], defaults: RenderDefaults
) -> UploadJob | NSTError:
    """The job of one row, or why it cannot run.

    Parameters
    ----------
    row
        A checked row of the manifest.
    identities
        Per input the sha256, or the reason why it cannot be read.
    defaults
        What holds where the row is silent; the row's own cells win.
    """
    found = {uri: identities[uri] for uri in inputs_of([row])}
    if reasons := [each for each in found.values() if isinstance(each, NSTError)]:
        return reasons[0]
    sha256 = {uri: str(each) for uri, each in found.items()}
    try:
        transfer = transfer_config(row, defaults)
        output = output_config(row, defaults)
    except NSTError as error:
        return error
    job = TransferJob(
        music=AnalysisJob(
            uri=row.music,
            sha256=sha256[row.music],
            name="music",
            start_s=row.start_s,
            duration_s=row.duration_s,
        ),
        ambience=_ambience_job(row, sha256),
        model_path=defaults.model_path,
        model_sha256=defaults.model_sha256,
        config=transfer,
    )
    output_uri = join(defaults.output_uri, row.output)
    if place_of(output_uri) in defaults.inputs:
        return StorageError(
            output_uri,
            "write",
            "it is an input of this manifest; choose another output folder or name",
            code="output_is_input",
        )
    return UploadJob(
        row_id=row.id,
        render=RenderJob(transfer=job, output=output),
        output_uri=output_uri,
    )


def _ambience_job(row: ManifestRow, sha256: Mapping[str, str]) -> AnalysisJob | BlendJob:
    parts = tuple(
        AnalysisJob(uri=uri, sha256=sha256[uri], name="ambience") for uri in row.ambience.places
    )
    if len(parts) == 1:
        return parts[0]
    return BlendJob(parts=parts, shares=shares(row.ambience.weights, len(parts)))


def place_of(uri: str) -> str:
    """The one name of a place, however it is written."""
    return uri if is_remote(uri) else os.path.realpath(local_text(uri))


def transfer_config(row: ManifestRow, defaults: RenderDefaults) -> TransferConfig:
    """Preset, then the catalogue's own values, then the row's."""
    values = {**defaults.transfer, **row.transfer_overrides}
    return preset(row.preset or defaults.preset, **values)


def output_config(row: ManifestRow, defaults: RenderDefaults) -> OutputConfig:
    """The catalogue's format, then the one the output's name asks for, then the row's."""
    values: dict[str, Any] = {"format": row.output.rpartition(".")[2].lower()}
    return dataclasses.replace(defaults.output, **{**values, **row.output_overrides})


class Finished(NamedTuple):
    """The records of a pair of which nothing is left to make."""

    audio: Record
    transfer: Record


def find_finished(job: UploadJob, workspace: Workspace) -> Finished | None:
    """The records of a pair if transfer and audio are there and the output is in place."""
    store, transfer = workspace.store, job.render.transfer
    audio = store.find(job.render.stage, job.render.key)
    neural = audio and store.find(transfer.stage, transfer.key)
    try:
        done = audio and neural and is_published(job, audio)
    except StorageError as error:
        if error.transient:
            raise
        return None  # an output that cannot be looked at fails its own row, in its upload
    return Finished(audio, neural) if audio and neural and done else None


def needs_transfer(jobs: Iterable[UploadJob], workspace: Workspace) -> bool:
    """Say whether a neural transfer is to be made; a changed strength asks for none."""
    transfers = (job.render.transfer for job in jobs)
    return any(not workspace.store.exists(t.stage, t.key) for t in transfers)


def forget(jobs: Iterable[UploadJob], workspace: Workspace) -> None:
    """Drop the pairs' own results, so that they are made again; the analyses stay."""
    for job in jobs:
        for made in (job.render, job.render.transfer):
            workspace.store.delete(made.stage, made.key)


def inputs_of(rows: Sequence[ManifestRow]) -> list[str]:
    """Every input once, in the order of first use."""
    return list(dict.fromkeys(uri for row in rows for uri in (row.music, *row.ambience.places)))
