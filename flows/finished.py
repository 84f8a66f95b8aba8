"""Rows that are already finished; a catalogue of nothing else needs no flow and no server."""

import uuid
from collections.abc import Sequence

from flows.catalog import Accepted, Catalog, handing_over, open_catalog
from flows.requests import RenderRequest
from nst_core.errors import NSTError
from tasks.finished import find_finished
from tasks.jobs.from_rows import RenderDefaults, inputs_of, plan_job
from tasks.jobs.identities import identify_inputs
from tasks.jobs.pair import PairJob
from tasks.manifest.row import ManifestRow
from tasks.report.results import RowResult, Tally, cached
from tasks.running.retry import patiently
from tasks.running.workspace import Workspace
from tasks.storage.lease import hold
from tasks.storage.writer_record import Writer

_AT_MOST = 500
"""Looking at more rows takes longer than the start of a server that it might save."""


def results_if_finished(
    request: RenderRequest, accepted: Accepted, workspace: Workspace
) -> list[RowResult] | None:
    """Return the results of all rows of a manifest if nothing is left to render, else None.

    The rows that are not rendered, such as invalid ones, are in the results too. Raises as
    `open_catalog` for a request that must not be rendered.
    """
    _, asked = accepted
    if request.force or request.album or len(asked) > _AT_MOST:
        return None  # the loudness of an album is measured in tasks
    with handing_over(request, accepted):
        catalog = open_catalog(request, workspace)
    done = _finished_from_the_end(catalog, workspace)
    return None if done is None else [*catalog.results_without_rendering(), *done]


def report_again(
    request: RenderRequest, results: Sequence[RowResult], workspace: Workspace
) -> tuple[Tally, str]:
    """Write the report and the page of finished rows again.

    Returns
    -------
    The tally of the results, and the place of the report.

    Raises
    ------
    StorageError
        ``output_in_use`` if a run writes into the folder.
    """
    from tasks.report.page.writing import write_report_and_page  # noqa: PLC0415  # pandas is slow

    writer = Writer(run_id=str(uuid.uuid4()), name=request.title)
    with hold(request.output, writer) as lease:
        report = write_report_and_page(
            results,
            workspace,
            request.output,
            run_id="",
            inputs=request.listen,
            before=lease.claim.check,
        )
    return Tally(results), report


def _finished_from_the_end(catalog: Catalog, workspace: Workspace) -> list[RowResult] | None:
    """Look at the last row first: it is the one that an interrupted run has not finished."""
    identities: dict[str, str | NSTError] = {}
    return finished_results(catalog.rows[::-1], identities, catalog.defaults(), workspace)


def finished_results(
    rows: Sequence[ManifestRow],
    identities: dict[str, str | NSTError],
    defaults: RenderDefaults,
    workspace: Workspace,
) -> list[RowResult] | None:
    """Return the results of rows that are all finished, or None if one is unfinished.

    The first unfinished row ends the search, so a new catalogue costs one check per shard.

    Parameters
    ----------
    identities
        Known sha256 of inputs, or reasons why they cannot be read; new ones are added.
    """
    results = []
    for row in rows:
        if unknown := [uri for uri in inputs_of([row]) if uri not in identities]:
            identities.update(identify_inputs(unknown, str(workspace.scratch_root())))
        job = plan_job(row, identities, defaults)
        result = None if isinstance(job, NSTError) else if_finished(row, job, workspace)
        if result is None:
            return None
        results.append(result)
    return results


def if_finished(row: ManifestRow, job: PairJob, workspace: Workspace) -> RowResult | None:
    """Return the result of a row if it is finished, else None."""

    def look() -> RowResult | None:
        finished = find_finished(job, workspace)
        return cached(row, job, finished) if finished else None

    return patiently(look)
