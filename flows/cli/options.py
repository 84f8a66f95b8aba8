"""Options that several commands share, and the request that they form.

Defaults and help come from the request's fields.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated

from cyclopts import Parameter

from flows.requests import RenderRequest, default_of
from nst_core.config import AudioFormat, OutputConfig
from nst_core.errors import ConfigError
from tasks.jobs.listen import DEFAULT_INPUTS, Inputs

_REQUEST = RenderRequest.model_fields
_SOUND = {each.name: each for each in fields(OutputConfig)}
_MULTIPLYING = ("preset", "strength")
_SOUND_OPTIONS = ("format", "sample_rate", "loudness_lufs")


def field_help(name: str, *, many: bool = False) -> Parameter:
    """Return the option's help from the request's field of this name."""
    text = _REQUEST[name].description or ""
    return Parameter(help=text, consume_multiple=many)


def _sound_help(name: str) -> Parameter:
    return Parameter(help=_SOUND[name].metadata["description"])


def _values_help(name: str) -> Parameter:
    text = _REQUEST[name].description or ""
    several = "several values make a row of each, if there is no manifest"
    return Parameter(help=f"{text}; {several} [default: {default_of(name)}]", consume_multiple=True)


Globs = Annotated[list[str], Parameter(consume_multiple=True)]
Values = Annotated[list[str] | None, Parameter(consume_multiple=True)]
Sets = Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)]
Ids = Annotated[list[str] | None, Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Options for what to render and how."""

    output: Annotated[str, field_help("output")]
    model: Annotated[str | None, field_help("model")] = default_of("model")
    preset: Annotated[list[str] | None, _values_help("preset")] = None
    strength: Annotated[list[str] | None, _values_help("strength")] = None
    excitation: Annotated[float | None, field_help("excitation")] = None
    timbre: Annotated[float | None, field_help("timbre")] = None
    grain: Annotated[float | None, field_help("grain")] = None
    attack: Annotated[float | None, field_help("attack")] = None
    swell: Annotated[float | None, field_help("swell")] = None
    wet: Annotated[float | None, field_help("wet")] = None
    format: Annotated[AudioFormat, _sound_help("format")] = OutputConfig.format
    sample_rate: Annotated[int | None, _sound_help("sample_rate")] = OutputConfig.sample_rate
    loudness_lufs: Annotated[float | None, _sound_help("loudness_lufs")] = None
    album: Annotated[bool, field_help("album")] = default_of("album")
    only: Annotated[list[str] | None, field_help("only", many=True)] = None
    limit: Annotated[int | None, field_help("limit")] = default_of("limit")
    force: Annotated[bool, field_help("force")] = default_of("force")
    skip_invalid: Annotated[bool, field_help("skip_invalid")] = default_of("skip_invalid")
    listen: Annotated[Inputs, field_help("listen")] = DEFAULT_INPUTS
    input_root: Annotated[list[str] | None, field_help("input_roots", many=True)] = None

    def absolute(self) -> "RenderOptions":
        """Return these options with absolute paths: a worker has another current folder."""
        from tasks.storage.uris import absolute  # imports S3's client

        return replace(
            self,
            output=absolute(self.output),
            model=self.model and absolute(self.model),
            input_root=self.input_root and [absolute(root) for root in self.input_root],
        )

    def request(self, manifest: str, **more: object) -> RenderRequest:
        """Return the request to render a manifest with these options.

        Parameters
        ----------
        manifest
            CSV file, as a path or s3:// URI.
        **more
            Further fields of the request; a field that is None keeps its default.
        """
        given = asdict(self)
        for name in _MULTIPLYING:
            values = given.pop(name) or []
            if len(values) > 1:
                raise ConfigError(
                    f"--{name} {' '.join(values)}: with a manifest, one value is for all rows "
                    f"without one; write the others into its column {name}"
                )
            if values:
                given[name] = values[0]
        sound = OutputConfig(**{name: given.pop(name) for name in _SOUND_OPTIONS})
        only, input_roots = given.pop("only") or (), given.pop("input_root") or ()
        further = {name: value for name, value in more.items() if value is not None}
        return RenderRequest.model_validate(
            {
                **given,
                "manifest": manifest,
                "sound": sound,
                "only": tuple(only),
                "input_roots": tuple(input_roots),
                **further,
            }
        )
