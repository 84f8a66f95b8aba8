"""Options that several commands take, and the request they make."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from nst_core.config import DEFAULT_PRESET, OutputConfig

if TYPE_CHECKING:
    from flows.catalog import RenderRequest

Ids = Annotated[list[str] | None, Parameter(consume_multiple=True)]
Format = Literal["wav", "flac", "ogg"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """What to render, and how; the defaults are those of the request."""

    output: str
    """Folder or s3:// prefix for the audio, results.csv and results.parquet."""
    model: str | None = None
    """Classifier, *.weights.h5 or its local folder; by default the package's own."""
    preset: str = DEFAULT_PRESET
    """Where a row names none: real, fast, quality, closed, mel or original."""
    strength: float | None = None
    """Where a row names none, 0 to 1."""
    format: Format = OutputConfig.format
    """Of rows whose output names none."""
    sample_rate: int = OutputConfig.sample_rate
    """Of the audio, in Hz."""
    loudness_lufs: float | None = None
    """Of the audio; by default as loud as the music."""
    only: Ids = None
    """Ids of the rows to render."""
    limit: int | None = None
    """Render at most so many rows."""
    force: bool = False
    """Make everything again, whatever is cached."""
    skip_invalid: bool = False
    """Render the good rows of a manifest that has bad ones."""
    input_root: Ids = None
    """Folders or s3:// prefixes that inputs may lie in; by default the manifest's own."""

    def absolute(self) -> "RenderOptions":
        """These options with whole paths: a worker's current folder is another one."""
        from tasks.files import absolute  # noqa: PLC0415  # imports S3's client

        return replace(
            self,
            output=absolute(self.output),
            model=self.model and absolute(self.model),
            input_root=self.input_root and [absolute(root) for root in self.input_root],
        )

    def request(self, manifest: str, **more: object) -> "RenderRequest":
        """The request to render a manifest with these options.

        Parameters
        ----------
        manifest
            CSV file, path or s3://.
        **more
            Further fields of the request; None takes its default.
        """
        from flows.catalog import RenderRequest  # noqa: PLC0415  # imports Prefect: takes seconds

        return RenderRequest.model_validate(
            {
                "manifest": manifest,
                "output": self.output,
                "model": self.model,
                "preset": self.preset,
                "strength": self.strength,
                "sound": OutputConfig(
                    format=self.format,
                    sample_rate=self.sample_rate,
                    loudness_lufs=self.loudness_lufs,
                ),
                "input_roots": tuple(self.input_root or ()),
                "only": tuple(self.only or ()),
                "limit": self.limit,
                "force": self.force,
                "skip_invalid": self.skip_invalid,
                **{name: value for name, value in more.items() if value is not None},
            }
        )
