"""Row of a manifest: its columns and their rules."""

import dataclasses
import os
import re
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from nst_core.config import (
    CONTROLS,
    DEFAULT_PRESET,
    AudioFormat,
    AudioLimits,
    CarrierConfig,
    OutputConfig,
    Start,
    Strength,
    TransferConfig,
    check_strength,
    preset,
    read_strength,
)
from nst_core.errors import ConfigError
from tasks.manifest.cells import Ambiences, CellError, InputRoots, read_ambiences, unsafe

FORMATS: tuple[str, ...] = get_args(AudioFormat)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
TRANSFER_FIELDS = {
    "start": "start",
    "iterations": "n_iterations",
    "content_weight": "content_weight",
    "style_weight": "style_weight",
    "learning_rate": "learning_rate",
    "seed": "seed",
    **{name: name for name in CONTROLS},
}
_OUTPUT = ("format", "subtype", "sample_rate", "loudness_lufs")
_NO_EXTRA: dict[str, str] = {}
"""Shared by all rows, because every empty dictionary takes 64 bytes."""


def _within(config: Callable[..., object], field: str) -> AfterValidator:
    """Return a check of a cell by the configuration's own rule, which defines the range."""
    return _passing(lambda value: config(**{field: value}))


def _passing(rule: Callable[[Any], object]) -> AfterValidator:
    """Return a check of a cell by a function that raises ConfigError."""
    accepted: set[object] = {None}

    def check(value: object) -> object:
        if value not in accepted:
            try:
                rule(value)
            except ConfigError as error:
                raise CellError(error.rule, code="bad_value") from error
            accepted.add(value)
        return value

    return AfterValidator(check)


def _true_or_false(cell: object) -> object:
    # pydantic alone also accepts "y", "off" and "1".
    if isinstance(cell, str):
        if cell.lower() not in {"true", "false"}:
            raise CellError("must be true or false", code="bad_value")
        return cell.lower() == "true"
    return cell


@dataclass(
    frozen=True,
    slots=True,  # a catalogue may have a hundred thousand of them
    kw_only=True,
    config=ConfigDict(extra="forbid", allow_inf_nan=False),
)
class ManifestRow:
    """One pair to render; a field that is None keeps the configuration's value."""

    line: int
    """Line of the CSV file that the row starts on; the header is line 1."""
    id: str
    ambience: Ambiences
    """Absolute local paths or ``s3://`` URIs inside an input root; in a plan, as given."""
    music: str
    """Place of the music, in the same form as an ambience's."""
    output: str
    """Path relative to the output folder, with ``/`` between its parts."""
    enabled: Annotated[bool, BeforeValidator(_true_or_false)] = True
    preset: str | None = None
    strength: Annotated[
        Strength | None, SkipValidation, BeforeValidator(read_strength), _passing(check_strength)
    ] = None
    start: Start | None = None
    iterations: Annotated[int | None, _within(TransferConfig, "n_iterations")] = None
    content_weight: Annotated[float | None, _within(TransferConfig, "content_weight")] = None
    style_weight: Annotated[float | None, _within(TransferConfig, "style_weight")] = None
    learning_rate: Annotated[float | None, _within(TransferConfig, "learning_rate")] = None
    seed: Annotated[int | None, _within(TransferConfig, "seed")] = None
    excitation: Annotated[float | None, _within(CarrierConfig, "excitation")] = None
    timbre: Annotated[float | None, _within(CarrierConfig, "timbre")] = None
    grain: Annotated[float | None, _within(CarrierConfig, "grain")] = None
    attack: Annotated[float | None, _within(CarrierConfig, "attack")] = None
    swell: Annotated[float | None, _within(CarrierConfig, "swell")] = None
    wet: Annotated[float | None, _within(TransferConfig, "wet")] = None
    start_s: float = Field(default=0.0, ge=0.0)
    duration_s: float | None = Field(default=None, ge=AudioLimits.min_duration_s)
    sample_rate: Annotated[int | None, _within(OutputConfig, "sample_rate")] = None
    format: AudioFormat | None = None
    subtype: str | None = None
    loudness_lufs: Annotated[float | None, _within(OutputConfig, "loudness_lufs")] = None
    extra: dict[str, str] = Field(default_factory=lambda: _NO_EXTRA)
    """The columns ``note``, ``tags`` and ``x_*``, passed through to the report."""

    @property
    def transfer_overrides(self) -> dict[str, Any]:
        """The row's own `nst_core.config.TransferConfig` and `CarrierConfig` fields."""
        values = {field: getattr(self, column) for column, field in TRANSFER_FIELDS.items()}
        return {field: value for field, value in values.items() if value is not None}

    @property
    def output_overrides(self) -> dict[str, Any]:
        """The row's own `nst_core.config.OutputConfig` fields."""
        values = {column: getattr(self, column) for column in _OUTPUT}
        return {field: value for field, value in values.items() if value is not None}

    @field_validator("id")
    @classmethod
    def _named(cls, name: str) -> str:
        if not _ID.fullmatch(name):
            rule = "must be 1-100 of A-Z a-z 0-9 . _ - and start with a letter or digit"
            raise CellError(rule, code="bad_id")
        return name

    @field_validator("ambience", mode="before")
    @classmethod
    def _blended(cls, cell: object, info: ValidationInfo) -> object:
        if not isinstance(cell, str):
            return cell  # already checked: it comes from a plan or from a shard's rows
        roots = info.context
        return roots.ambiences(cell) if isinstance(roots, InputRoots) else read_ambiences(cell)

    @field_validator("music")
    @classmethod
    def _inside(cls, cell: str, info: ValidationInfo) -> str:
        return info.context.resolve(cell) if isinstance(info.context, InputRoots) else cell

    @field_validator("output")
    @classmethod
    def _relative(cls, output: str) -> str:
        parts = output.split("/")
        rule = unsafe(output)
        if not rule and any(part.startswith(".") or not part for part in parts):
            rule = "must be relative, without empty or hidden parts"
        if not rule and suffix_of(output) not in FORMATS:
            rule = f"must end in {', '.join('.' + name for name in FORMATS)}"
        if rule:
            raise CellError(rule, code="bad_output")
        return output

    @field_validator("format")
    @classmethod
    def _as_output(cls, name: str | None, info: ValidationInfo) -> str | None:
        suffix = suffix_of(info.data.get("output", ""))
        if name and suffix and name != suffix:
            rule = f"does not match an output that ends in .{suffix}"
            raise CellError(rule, code="bad_output")
        return name

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        try:
            return name if name is None or preset(name) else None
        except ConfigError as error:
            raise CellError(error.rule, code="bad_value") from error

    @field_validator("subtype")
    @classmethod
    def _of_the_format(cls, name: str | None, info: ValidationInfo) -> str | None:
        suffix = suffix_of(info.data.get("output", ""))
        try:
            if name and suffix:
                OutputConfig(format=suffix, subtype=name)  # type: ignore[arg-type]  # checked there
        except ConfigError as error:
            raise CellError(error.rule, code="bad_value") from error
        return name

    @model_validator(mode="after")
    def _together(self) -> "ManifestRow":
        try:
            if len(self.transfer_overrides) > 1:
                preset(DEFAULT_PRESET, **self.transfer_overrides)
        except ConfigError as error:
            raise CellError(error.rule, code="bad_value") from error
        return self


COLUMNS = tuple(
    each.name for each in dataclasses.fields(ManifestRow) if each.name not in {"line", "extra"}
)
_TYPES = get_type_hints(ManifestRow)
DECIMALS = frozenset(name for name in COLUMNS if float in (_TYPES[name], *get_args(_TYPES[name])))
"""Columns of numbers that may have decimals."""
ROW = TypeAdapter(ManifestRow)
"""Check of a row's cells; its context is an `InputRoots`."""


def suffix_of(output: str) -> str:
    """Return the format that the name of an output asks for, or an empty text."""
    return os.path.splitext(output)[1][1:].lower()  # noqa: PTH122  # five times pathlib's speed
