"""Catalogue: the request, its rows, and the shards that the rows are cut into."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from flows.batch import Batch
from flows.progress import listener
from flows.requests import RenderRequest
from flows.shards import Shard, in_shard_order, shard_bounds
from tasks.jobs.from_rows import inputs_of, outputs_on_inputs
from tasks.manifest.reading import Manifest, read_manifest
from tasks.manifest.row import ManifestRow
from tasks.manifest.selection import selected_rows
from tasks.manifest.shard_rows import ShardRows, rows_sha256, write_rows
from tasks.model import fetch_model
from tasks.report.results import RowResult, failure, invalid, skipped
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError

Accepted = tuple[Manifest, list[ManifestRow]]
"""A valid manifest, and its selected rows."""

_handed_over: ContextVar[tuple[RenderRequest, Accepted] | None] = ContextVar(
    "handed_over", default=None
)


@dataclass(frozen=True, kw_only=True)
class Catalog(Batch):
    """An accepted request.

    Attributes
    ----------
    manifest
        Whole manifest, including the rows that are not rendered.
    clashes
        Errors of the selected rows whose output is an input, by line; these rows are not in
        `rows`.
    """

    manifest: Manifest
    clashes: Mapping[int, StorageError]

    @property
    def n_asked(self) -> int:
        """Number of selected rows, including those that cannot be rendered."""
        n_invalid = len({problem.line for problem in self.manifest.problems})
        return n_invalid + len(self.clashes) + len(self.rows)

    def results_without_rendering(self) -> Iterator[RowResult]:
        """Yield the results of all rows of the manifest that are not in `rows`."""
        yield from invalid(self.manifest.problems)
        chosen = {row.line for row in self.rows}
        left_out = [row for row in self.manifest.rows if row.line not in chosen]
        for row in left_out:
            if error := self.clashes.get(row.line):
                yield failure(row, "inputs", error)
        yield from skipped(row for row in left_out if row.line not in self.clashes)

    def shards(self, run_id: str) -> Iterator[tuple[Shard, Sequence[ManifestRow]]]:
        """Cut the rows into runs that share inputs; yield each with its rows."""
        request = self.request
        bounds = shard_bounds(
            len(self.rows), size=request.shard_size, max_in_flight=request.max_in_flight
        )
        for number, (first, stop) in enumerate(bounds, start=1):
            rows = self.rows[first:stop]
            shard = Shard(
                request=request,
                rows_sha256=rows_sha256(rows),
                model_sha256=self.model.sha256,
                number=number,
                n_shards=len(bounds),
                first=first,
                stop=stop,
                catalog_run_id=run_id,
            )
            yield shard, rows

    def hand_rows(self, shard: Shard, workspace: Workspace) -> None:
        """Write the rows of a shard to the place where its run reads them."""
        write_rows(self.rows[shard.first : shard.stop], rows_of(shard), workspace)


def rows_of(shard: Shard) -> ShardRows:
    """Return the place of a shard's rows."""
    return ShardRows(shard.catalog_run_id, shard.name, shard.rows_sha256)


def open_catalog(request: RenderRequest, workspace: Workspace) -> Catalog:
    """Check a request and return its catalogue; raise for one that must not be rendered.

    The manifest is read here, unless the caller is `handing_over` an accepted one.
    """
    handed = _handed_over.get()
    known = handed is not None and handed[0] == request
    if handed and known:
        manifest, asked = handed[1]
    else:
        listener().stage("read manifest")
        manifest, asked = accepted_manifest(request)
    clashes = outputs_on_inputs(asked, inputs_of(manifest.rows), request.output)
    rows = in_shard_order(row for row in asked if row.line not in clashes)
    return Catalog(
        request=request,
        rows=tuple(rows),
        model=fetch_model(request.model, workspace),
        manifest=manifest,
        clashes=clashes,
    )


@contextmanager
def handing_over(request: RenderRequest, accepted: Accepted) -> Iterator[None]:
    """Give an accepted manifest to the flow that is called within, so that it is read only once."""
    token = _handed_over.set((request, accepted))
    try:
        yield
    finally:
        _handed_over.reset(token)


def accepted_manifest(request: RenderRequest) -> Accepted:
    """Read the manifest of a request; raise for one that must not be rendered."""
    manifest = read_manifest(
        request.manifest,
        input_roots=request.input_roots,
        default_format=request.sound.format,
    )
    if not request.skip_invalid:
        manifest.raise_problems()
    asked = selected_rows(
        manifest.rows, only=request.only, limit=request.limit, source=request.manifest
    )
    return manifest, asked
