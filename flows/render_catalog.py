"""Flow `render-catalog`: a manifest becomes audio and a report."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field, field_validator

from flows.progress import listener
from flows.render_shard import UnderWay, render_pairs, settle
from flows.settings import Settings
from nst_core.config import OutputConfig, preset
from nst_core.errors import NSTError
from tasks.caching import Workspace
from tasks.jobs import (
    RenderDefaults,
    forget,
    inputs_of,
    is_finished,
    needs_transfer,
    place_of,
    plan_job,
)
from tasks.manifest import Manifest, read_manifest
from tasks.mels import identify_inputs
from tasks.model import Model, fetch_model, load_model
from tasks.problems import ManifestError
from tasks.report import (
    RowResult,
    all_well,
    failure,
    invalid,
    skipped,
    success,
    summarise,
    write_report,
)
from tasks.row import ManifestRow
from tasks.upload import UploadJob

_THREADS = 3
"""A transfer, an inversion and an upload side by side."""


class RenderRequest(BaseModel):
    """What to render, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: Annotated[str, Field(title="Manifest", description="CSV; path or s3://")]
    output: Annotated[str, Field(title="Output", description="Folder or s3:// prefix")]
    model: Annotated[
        str | None,
        Field(description="Classifier: *.weights.h5 or its folder; empty: the package's own"),
    ] = None
    preset: Annotated[str, Field(description="Where rows name none")] = "real"
    strength: Annotated[
        float | None, Field(ge=0, le=1, description="Where rows name none; empty: the preset's")
    ] = None
    sound: OutputConfig = OutputConfig()
    input_roots: Annotated[
        tuple[str, ...], Field(description="Where inputs may be; empty: the manifest's folder")
    ] = ()
    only: Annotated[tuple[str, ...], Field(description="Ids; empty: all rows")] = ()
    limit: Annotated[int | None, Field(ge=1, description="At most so many rows")] = None
    force: Annotated[bool, Field(description="Make everything again")] = False
    skip_invalid: Annotated[bool, Field(description="Render the good rows of a bad file")] = False

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str) -> str:
        preset(name)
        return name


@flow(
    name="render-catalog",
    task_runner=ThreadPoolTaskRunner(max_workers=_THREADS),  # type: ignore[arg-type]  # generic
    validate_parameters=True,
)
def render_catalog(request: RenderRequest) -> Any:
    """Render the pairs of a manifest; ends Failed if any of them failed."""
    workspace = Settings().workspace()
    listener().stage("read manifest")
    manifest, selected = accepted_manifest(request)
    model = fetch_model(request.model, workspace)
    workspace.store.check_writable()
    results = invalid(manifest.problems)
    listener().pairs(len(results) + len(selected))
    for result in results:
        _hear(result)
    chosen = {row.line for row in selected}
    results += skipped(row for row in manifest.rows if row.line not in chosen)
    under_way: UnderWay = deque()
    try:
        for result in _render_rows(selected, manifest.rows, request, model, workspace, under_way):
            results.append(result)
            _hear(result)
    finally:
        listener().stage("write report")
        results += settle(under_way, workspace)
        results += _not_reached(selected, results)
        results.sort(key=lambda result: result.line)
        report = write_report(results, workspace, request.output, run_id=str(flow_run.get_id()))
        message = summarise(results)
        listener().ended(message, report)
    kind = Completed if all_well(results) else Failed
    return kind(message=message, data={"message": message, "report": report})


def accepted_manifest(request: RenderRequest) -> tuple[Manifest, list[ManifestRow]]:
    """The manifest of a request, and its rows to render; raises for what must not be rendered."""
    manifest = read_manifest(
        request.manifest,
        input_roots=request.input_roots,
        default_format=request.sound.format,
    )
    if not request.skip_invalid:
        manifest.raise_problems()
    return manifest, _selected(manifest.rows, request)


def _render_rows(
    rows: Sequence[ManifestRow],
    all_rows: Sequence[ManifestRow],
    request: RenderRequest,
    model: Model,
    workspace: Workspace,
    under_way: UnderWay,
) -> Iterator[RowResult]:
    """Yield the result of every selected row as it comes."""
    defaults = RenderDefaults(
        preset=request.preset,
        transfer={} if request.strength is None else {"strength": request.strength},
        output=request.sound,
        model_path=model.path,
        model_sha256=model.sha256,
        output_uri=request.output,
        inputs=frozenset(map(place_of, inputs_of(all_rows))),
    )
    listener().stage("check inputs")
    identities = identify_inputs(inputs_of(rows), str(workspace.scratch_root()))
    to_do: list[tuple[ManifestRow, UploadJob]] = []
    for row in rows:
        job = plan_job(row, identities, defaults)
        if isinstance(job, NSTError):
            yield failure(row, "inputs", job)
        elif not request.force and is_finished(job, workspace):
            yield success(row, job, workspace, "cached")
        else:
            to_do.append((row, job))
    if request.force:
        forget([job for _, job in to_do], workspace)
    if needs_transfer([job for _, job in to_do], workspace):
        load_model(model, workspace)
    listener().stage("render pairs")
    yield from render_pairs(to_do, workspace, under_way)


def _selected(rows: Sequence[ManifestRow], request: RenderRequest) -> list[ManifestRow]:
    unknown = sorted(set(request.only) - {row.id for row in rows})
    if unknown:
        raise ManifestError(
            f"no row of {request.manifest} has the id {', '.join(unknown)}; see its column id",
            code="unknown_id",
        )
    asked = [row for row in rows if row.enabled and (not request.only or row.id in request.only)]
    return asked[: request.limit]


def _hear(result: RowResult) -> None:
    listener().pair(result.id or f"line {result.line}", result.status, result.error)


def _not_reached(rows: Sequence[ManifestRow], results: Sequence[RowResult]) -> Iterator[RowResult]:
    """The rows an interruption left without a result."""
    reached = {result.line for result in results}
    for row in rows:
        if row.line not in reached:
            yield RowResult(line=row.line, id=row.id, status="not_run")
