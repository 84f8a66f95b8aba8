"""Parameters of a catalogue's run, with their checks.

Each field is described once, for the form in the UI, the inbox and the command's help.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from flows.parameters import Parameters, Place
from nst_core.config import DEFAULT_PRESET, DEFAULT_STRENGTH, PRESETS, OutputConfig, preset
from tasks.jobs.listen import DEFAULT_INPUTS, Inputs


def _known_preset(name: str) -> str:
    preset(name)
    return name


ModelPlace = Annotated[
    Place | None,
    Field(
        title="Model",
        description="Classifier: a *.weights.h5 file or its folder; by default the built-in one",
    ),
]
PresetName = Annotated[
    str,
    Field(
        title="Preset",
        description="Preset for rows without one: real (the default), closed (no steps, "
        "faster); mel and original (from a mel alone)",
        json_schema_extra={"enum": list(PRESETS)},
    ),
    AfterValidator(_known_preset),
]
Strength = Annotated[
    float,
    Field(
        title="Strength",
        ge=0,
        le=1,
        description="Strength for rows without one, from 0 (the music) to 1 (the ambience "
        "plays it)",
    ),
]
Sound = Annotated[OutputConfig, Field(title="Sound files")]
Album = Annotated[
    bool,
    Field(
        title="Album",
        description="Keep the differences in loudness between the pieces of music: loudness_lufs "
        "is then that of all pieces together",
    ),
]
InputPlaces = Annotated[
    tuple[Place, ...],
    Field(
        title="Input roots",
        description="Folders or s3:// prefixes that may contain inputs; by default the "
        "manifest's folder",
    ),
]
SkipInvalid = Annotated[
    bool,
    Field(
        title="Skip invalid",
        description="Render the valid rows of a manifest that also has invalid rows",
    ),
]


Listen = Annotated[
    Inputs,
    Field(
        title="Listening page",
        description="How the listening page plays the inputs: links to their files where a browser "
        "can reach them (else previews), previews (copies of at most 10 s), or none",
    ),
]


class RenderRequest(Parameters):
    """Request to render a manifest: which rows, and how."""

    manifest: Annotated[
        Place,
        Field(
            title="Manifest", description="CSV file; a path or s3:// URI that the workers can read"
        ),
    ]
    output: Annotated[
        Place,
        Field(title="Output", description="Folder or s3:// prefix for the audio and results.csv"),
    ]
    model: ModelPlace = None
    preset: PresetName = DEFAULT_PRESET
    strength: Strength = DEFAULT_STRENGTH
    sound: Sound = OutputConfig()
    album: Album = False
    input_roots: InputPlaces = ()
    only: Annotated[
        tuple[str, ...],
        Field(title="Only", description="Ids of the rows to render; by default all"),
    ] = ()
    limit: Annotated[
        int | None,
        Field(title="Limit", ge=1, description="Maximum number of rows to render; by default all"),
    ] = None
    force: Annotated[
        bool, Field(title="Force", description="Compute everything again, even if it is cached")
    ] = False
    skip_invalid: SkipInvalid = False
    listen: Listen = DEFAULT_INPUTS
    shard_size: Annotated[
        int | None,
        Field(
            title="Pairs per shard",
            ge=1,
            le=200,
            description="Pairs per shard run, 1 to 200; by default 25 to 50, depending on the "
            "size of the catalogue",
        ),
    ] = None
    max_in_flight: Annotated[
        int,
        Field(
            title="Shards in flight",
            ge=1,
            le=1000,
            description="Maximum number of shard runs that wait or run at a time, 1 to 1000; by "
            "default 16",
        ),
    ] = 16

    @property
    def title(self) -> str:
        """Name shown in messages: the manifest's, without folder and suffix."""
        return PurePosixPath(self.manifest).stem


def default_of(name: str) -> Any:
    """Return the default of a field of `RenderRequest`, for options and other requests."""
    return RenderRequest.model_fields[name].default
