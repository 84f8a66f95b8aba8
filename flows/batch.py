"""Batch: the rows that one run renders, and all settings for them."""

from dataclasses import dataclass

from flows.requests import RenderRequest
from tasks.jobs.from_rows import RenderDefaults
from tasks.manifest.row import ManifestRow
from tasks.model import Model
from tasks.storage.lease import Claim


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of a catalogue or of one of its shards, and the settings for them.

    Attributes
    ----------
    rows
        Checked rows, in the order of the shards.
    claim
        The run's claim to the output folder; None until the run has one.
    """

    request: RenderRequest
    rows: tuple[ManifestRow, ...]
    model: Model
    claim: Claim | None = None

    def defaults(self) -> RenderDefaults:
        """Return the settings for rows that set none of their own."""
        request = self.request
        return RenderDefaults(
            preset=request.preset,
            strength=request.strength,
            output=request.sound,
            controls=request.controls,
            model_path=self.model.path,
            model_sha256=self.model.sha256,
            output_uri=request.output,
            claim=self.claim,
            listen=request.listen,
        )

    def is_forced(self) -> bool:
        """Return whether finished rows are rendered again: if requested, but not in a retry."""
        from prefect.runtime import flow_run  # noqa: PLC0415  # Prefect takes a second to import

        return self.request.force and flow_run.get_run_count() <= 1
