"""Parameters of a catalogue's run, with their checks.

Each field is described once, for the form in the UI, the inbox and the command's help.
"""

import dataclasses
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from flows.parameters import Parameters, Place
from nst_core.config import (
    CARRIER_FIELDS,
    CONTROLS,
    DEFAULT_PRESET,
    DEFAULT_STRENGTH,
    PRESET_HELP,
    PRESETS,
    CarrierConfig,
    OutputConfig,
    TransferConfig,
    check_strength,
    preset,
    read_strength,
)
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
        description="Preset for rows without one. "
        + "; ".join(f"{name}: {purpose}" for name, purpose in PRESET_HELP.items()),
        json_schema_extra={"enum": list(PRESETS)},
    ),
    AfterValidator(_known_preset),
]


def _read_strength(value: object) -> object:
    strength = read_strength(value)
    if isinstance(strength, float | int | str):
        check_strength(strength)
    return strength


StrengthOrCurve = Annotated[
    Annotated[float, Field(ge=0, le=1)] | str,
    Field(
        title="Strength",
        description="Strength for rows without one, from 0 (the music) to 1 (the ambience "
        "plays it), or a curve such as 0:0.2;30:0.8 (0.2 at the start, 0.8 from 30 s on)",
    ),
    BeforeValidator(_read_strength),
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


def control(name: str) -> Any:
    """Return the form's field for one of `nst_core.config.CONTROLS`."""
    config = CarrierConfig if name in CARRIER_FIELDS else TransferConfig
    (found,) = (each for each in dataclasses.fields(config) if each.name == name)
    known = dict(found.metadata)
    known["description"] += f"; by default the preset's, such as {found.default}"
    return Field(**known)


class ControlValues(Parameters):
    """Controls of the sound, for rows that do not set them; None is the preset's value."""

    excitation: Annotated[float | None, control("excitation")] = None
    timbre: Annotated[float | None, control("timbre")] = None
    grain: Annotated[float | None, control("grain")] = None
    attack: Annotated[float | None, control("attack")] = None
    swell: Annotated[float | None, control("swell")] = None
    wet: Annotated[float | None, control("wet")] = None

    @property
    def controls(self) -> dict[str, float]:
        """The controls that are set, for rows that do not set them."""
        values = {name: getattr(self, name) for name in CONTROLS}
        return {name: value for name, value in values.items() if value is not None}


class RenderRequest(ControlValues):
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
    strength: StrengthOrCurve = DEFAULT_STRENGTH
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
