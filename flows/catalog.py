"""A catalogue: what was asked for, its rows, and the shards they are cut into."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nst_core import ALGORITHM_VERSION, __version__
from nst_core.config import DEFAULT_PRESET, PRESETS, OutputConfig, preset
from tasks.caching import Workspace
from tasks.jobs import RenderDefaults, inputs_of, place_of
from tasks.manifest import Manifest, read_manifest
from tasks.model import Model, fetch_model
from tasks.problems import ManifestError
from tasks.row import ManifestRow
from tasks.shards import in_shard_order, shard_bounds

CODE_VERSION = f"{__version__}/{ALGORITHM_VERSION}"
"""Workers of one catalogue must agree on it."""


def _known_preset(name: str) -> str:
    preset(name)
    return name


ModelPlace = Annotated[
    str | None,
    Field(
        title="Model",
        description="Classifier: *.weights.h5 or its folder; None: the package's own",
    ),
]
PresetName = Annotated[
    str,
    Field(
        title="Preset",
        description="Where rows name none. real: the default; fast, quality, closed: fewer, more "
        "and no steps; mel, original: from a mel alone",
        json_schema_extra={"enum": list(PRESETS)},
    ),
    AfterValidator(_known_preset),
]
Strength = Annotated[
    float | None,
    Field(
        title="Strength",
        ge=0,
        le=1,
        description="0 (the music) to 1 (the ambience plays it); None: the preset's",
    ),
]
Sound = Annotated[OutputConfig, Field(title="Sound files")]
InputPlaces = Annotated[
    tuple[str, ...],
    Field(title="Input roots", description="Where inputs may be; empty: the manifest's folder"),
]
SkipInvalid = Annotated[
    bool, Field(title="Skip invalid", description="Render the good rows of a bad file")
]


class RenderRequest(BaseModel):
    """What to render, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: Annotated[
        str,
        Field(title="Manifest", description="CSV file; path or s3://, where the workers reach it"),
    ]
    output: Annotated[
        str,
        Field(title="Output", description="Folder or s3:// prefix for the audio and results.csv"),
    ]
    model: ModelPlace = None
    preset: PresetName = DEFAULT_PRESET
    strength: Strength = None
    sound: Sound = OutputConfig()
    input_roots: InputPlaces = ()
    only: Annotated[
        tuple[str, ...], Field(title="Only", description="Ids of rows; empty: all rows")
    ] = ()
    limit: Annotated[
        int | None, Field(title="Limit", ge=1, description="At most so many rows; None: all")
    ] = None
    force: Annotated[
        bool, Field(title="Force", description="Make everything again, whatever is cached")
    ] = False
    skip_invalid: SkipInvalid = False
    shard_size: Annotated[
        int | None,
        Field(
            title="Pairs per shard",
            ge=1,
            le=200,
            description="1 to 200; None: 25 to 50, by the catalogue",
        ),
    ] = None
    max_in_flight: Annotated[
        int,
        Field(
            title="Shards in flight",
            ge=1,
            le=1000,
            description="Shard runs open at a time, 1 to 1000; more than there are workers",
        ),
    ] = 16

    @property
    def title(self) -> str:
        """What a person knows it by: the manifest's name."""
        return PurePosixPath(self.manifest).stem


class Shard(BaseModel):
    """Rows of a manifest by reference: however many they are, a flow's parameter stays small."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: RenderRequest
    manifest_sha256: Annotated[str, Field(description="Of the file the rows were counted in")]
    model_sha256: str
    first: Annotated[int, Field(ge=0, description="First row, in the order of the shards")]
    stop: Annotated[int, Field(ge=1, description="The row after the last one")]
    catalog_run_id: Annotated[str, Field(description="Run that gets the results")]
    code_version: Annotated[str, Field(description="The worker must have it, too")] = CODE_VERSION

    @property
    def digest(self) -> str:
        """One per content: the same shard of the same run is never started twice."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        """Within its catalogue; sorts as the shards do."""
        return f"shard-{self.first:06d}"

    @property
    def title(self) -> str:
        """What a person tells it by from the shards of other catalogues."""
        return f"{self.request.title}-{self.name}"


@dataclass(frozen=True)
class Catalog:
    """An accepted request: its manifest, its rows in the order of the shards, its model."""

    request: RenderRequest
    manifest: Manifest
    rows: tuple[ManifestRow, ...]
    model: Model

    @property
    def defaults(self) -> RenderDefaults:
        """What rows that do not say otherwise are rendered with."""
        request = self.request
        return RenderDefaults(
            preset=request.preset,
            transfer={} if request.strength is None else {"strength": request.strength},
            output=request.sound,
            model_path=self.model.path,
            model_sha256=self.model.sha256,
            output_uri=request.output,
            inputs=frozenset(map(place_of, inputs_of(self.manifest.rows))),
        )

    def shards(self, run_id: str) -> list[Shard]:
        """The rows cut into runs that share inputs."""
        request = self.request
        return [
            Shard(
                request=request,
                manifest_sha256=self.manifest.sha256,
                model_sha256=self.model.sha256,
                first=first,
                stop=stop,
                catalog_run_id=run_id,
            )
            for first, stop in shard_bounds(
                len(self.rows), size=request.shard_size, max_in_flight=request.max_in_flight
            )
        ]


def open_catalog(request: RenderRequest, workspace: Workspace) -> Catalog:
    """Read and check what a request names; raises for what must not be rendered."""
    manifest, selected = accepted_manifest(request)
    model = fetch_model(request.model, workspace)
    return Catalog(request, manifest, tuple(in_shard_order(selected)), model)


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


def _selected(rows: Sequence[ManifestRow], request: RenderRequest) -> list[ManifestRow]:
    unknown = sorted(set(request.only) - {row.id for row in rows})
    if unknown:
        raise ManifestError(
            f"no row of {request.manifest} has the id {', '.join(unknown)}; see its column id",
            code="unknown_id",
        )
    asked = [row for row in rows if row.enabled and (not request.only or row.id in request.only)]
    return asked[: request.limit]
