"""Turn manifest rows into jobs, and find the rows that cannot run."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from nst_core.config import OutputConfig, Strength, TransferConfig, preset
from nst_core.errors import ConfigError, NSTError
from nst_core.transfer.shares import shares
from tasks.jobs.listen import DEFAULT_INPUTS, Inputs
from tasks.jobs.pair import AnalysisJob, BlendJob, PairJob
from tasks.manifest.problems import RowProblem
from tasks.manifest.row import ManifestRow, suffix_of
from tasks.storage.errors import StorageError
from tasks.storage.lease import Claim
from tasks.storage.uris import is_remote, join, local_text


@dataclass(frozen=True, kw_only=True)
class RenderDefaults:
    """Settings for rows that set none of their own."""

    preset: str
    strength: Strength
    output: OutputConfig
    controls: Mapping[str, float] = field(default_factory=dict)
    """Values of `nst_core.config.CONTROLS` in place of the preset's."""
    model_path: str
    model_sha256: str
    output_uri: str
    claim: Claim | None = None
    """The run's claim to the output folder."""
    listen: Inputs = DEFAULT_INPUTS


def plan_job(
    row: ManifestRow, identities: Mapping[str, str | NSTError], defaults: RenderDefaults
) -> PairJob | NSTError:
    """Return the job of one row, or the error that prevents it.

    Parameters
    ----------
    row
        Checked row of the manifest.
    identities
        Sha256 of each input, or the reason why it cannot be read.
    defaults
        Settings for cells that the row leaves empty; the row's own cells win.
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
    return PairJob(
        row_id=row.id,
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
        strength=defaults.strength if row.strength is None else row.strength,
        output=output,
        output_uri=join(defaults.output_uri, row.output),
        claim=defaults.claim,
        output_folder=defaults.output_uri,
        preset=row.preset or defaults.preset,
        listen=defaults.listen,
    )


def _ambience_job(row: ManifestRow, sha256: Mapping[str, str]) -> AnalysisJob | BlendJob:
    parts = tuple(
        AnalysisJob(uri=uri, sha256=sha256[uri], name="ambience") for uri in row.ambience.places
    )
    if len(parts) == 1:
        return parts[0]
    return BlendJob(parts=parts, shares=shares(row.ambience.weights, len(parts)))


def outputs_on_inputs(
    rows: Sequence[ManifestRow], inputs: Iterable[str], output_uri: str
) -> dict[int, StorageError]:
    """Find the rows whose output would replace an input; return an error for each, by line.

    Parameters
    ----------
    rows
        Rows to render.
    inputs
        All inputs of the manifest, including those of rows that are not rendered.
    output_uri
        Output folder.
    """
    folders = cache(_real_and_links)  # for this call alone, as links may change
    taken = frozenset(
        uri if is_remote(uri) else os.path.realpath(local_text(uri)) for uri in inputs
    )
    outputs = ((row.line, join(output_uri, row.output)) for row in rows)
    return {
        line: StorageError(
            uri,
            "write",
            "it is an input of this manifest; choose another output folder or name",
            code="output_is_input",
        )
        for line, uri in outputs
        if _place_of(uri, folders) in taken
    }


def _place_of(uri: str, folders: Callable[[str], tuple[str, frozenset[str]]]) -> str:
    """Return one canonical name per place, without a look at the disk for each file."""
    if is_remote(uri):
        return uri
    path = local_text(uri)
    folder, name = os.path.split(path)
    real, links = folders(folder)
    return os.path.realpath(path) if name in links else f"{real.rstrip(os.sep)}{os.sep}{name}"


def _real_and_links(folder: str) -> tuple[str, frozenset[str]]:
    """Return a folder's canonical name, and the names in it that are symbolic links."""
    real = os.path.realpath(folder)
    try:
        with os.scandir(real) as entries:
            return real, frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # it does not exist yet, or says so when it is written to
        return real, frozenset()


def transfer_config(row: ManifestRow, defaults: RenderDefaults) -> TransferConfig:
    """Return the row's preset or the catalogue's, with the row's own values."""
    return preset(row.preset or defaults.preset, **{**defaults.controls, **row.transfer_overrides})


def output_config(row: ManifestRow, defaults: RenderDefaults) -> OutputConfig:
    """Return the catalogue's format, overridden by the output's suffix and then by the row."""
    values: dict[str, Any] = {"format": row.output.rpartition(".")[2].lower()}
    return dataclasses.replace(defaults.output, **{**values, **row.output_overrides})


def settings_problems(rows: Iterable[ManifestRow], defaults: RenderDefaults) -> list[RowProblem]:
    """Return a problem for each row whose settings do not fit those of the catalogue."""
    problems = []
    good: set[tuple[object, ...]] = set()
    for row in rows:
        transfer, output = row.transfer_overrides, row.output_overrides
        own = (row.preset, suffix_of(row.output), *transfer.items(), *output.items())
        if own in good:
            continue
        try:
            transfer_config(row, defaults)
            output_config(row, defaults)
        except ConfigError as error:
            problems.append(RowProblem(row.line, row.id, "", "", str(error), error.code))
        else:
            good.add(own)
    return problems


def inputs_of(rows: Sequence[ManifestRow]) -> list[str]:
    """Return every input once, in the order of first use."""
    return list(dict.fromkeys(uri for row in rows for uri in (row.music, *row.ambience.places)))
