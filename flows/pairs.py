"""Render pairs in one process: one transfer at a time, while earlier pairs are finished."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

from prefect.futures import PrefectFuture

from flows.progress import listener
from tasks.blend import blend_ambiences
from tasks.finish import failed_stage, finish_pair
from tasks.jobs.keys import Job
from tasks.jobs.pair import AnalysisJob, BlendJob, PairJob, parts_of
from tasks.manifest.row import ManifestRow
from tasks.mels import compute_mels
from tasks.report.results import RowResult, failure, success
from tasks.running import handover as carriers
from tasks.running.retry import HEALINGS, patiently
from tasks.running.workspace import Workspace
from tasks.storage.errors import LostArtefactError
from tasks.transfer import transfer_pair

Futures = list[PrefectFuture[Any]]

logger = logging.getLogger(__name__)

_GRACE_S = 10.0
_BACKLOG = carriers.KEPT
"""Maximum number of pairs that wait for their inversion; more hold back the next transfer."""


@dataclass(frozen=True)
class PairRun:
    """A pair that has started: its row, its job, and the task run of each stage.

    `inputs` are the analyses and blends that it waits for; pairs share them.
    """

    row: ManifestRow
    job: PairJob
    inputs: Futures
    transfer: PrefectFuture[Any]
    finish: PrefectFuture[Any]

    def is_over(self) -> bool:
        """Return whether the last stage has ended, without waiting for it."""
        # Prefect futures have no method for this. A callback is called at once if the future is
        # done.
        over = Event()
        self.finish.add_done_callback(lambda _: over.set())
        return over.is_set()

    def result(self, workspace: Workspace) -> RowResult:
        """Wait for the stages; return the result of the row."""
        if failed := self.failed():
            return failure(self.row, *failed)
        try:
            return success(self.row, self.job, workspace, "ok")
        except LostArtefactError as error:
            return failure(self.row, "upload", error)

    def failed(self) -> tuple[str, BaseException] | None:
        """Wait for the stages; return the first one that failed, and the reason."""
        for future in (*self.inputs, self.transfer, self.finish):
            future.wait()
            if not future.state.is_completed():
                reason = _reason(future)
                return self._stage_of(future, reason), reason
        return None

    def _stage_of(self, future: PrefectFuture[Any], reason: BaseException) -> str:
        if future is self.finish:
            return failed_stage(reason)
        return "transfer" if future is self.transfer else "mels"


UnderWay = deque[PairRun]


def render_pairs(
    pairs: Iterable[tuple[ManifestRow, PairJob]], workspace: Workspace, under_way: UnderWay
) -> Iterator[RowResult]:
    """Render pairs within a flow run; yield the result of each, in their order.

    While a pair is inverted and uploaded, the next one is transferred. A failure stops only the
    later stages of the same pair. `under_way` is empty at first and contains the pairs that have
    started but are not yielded yet; after an interruption, `settle` reports them.
    """
    analyses: dict[str, Futures] = {}
    for row, job in pairs:
        listener().at_work(row.id)
        run = _start(row, job, workspace, analyses)
        under_way.append(run)
        run.transfer.wait()
        while under_way and (len(under_way) > _BACKLOG or under_way[0].is_over()):
            yield _next_finished(under_way, workspace, analyses)
    while under_way:
        yield _next_finished(under_way, workspace, analyses)


def settle(under_way: UnderWay, workspace: Workspace) -> Iterator[RowResult]:
    """Yield the results of the pairs that end despite an interruption.

    Running stages get some seconds to end, so that their results are not lost. Pairs whose
    result is still unknown are left out.
    """
    give_up = time.monotonic() + _GRACE_S
    for run in under_way:
        run.finish.wait(timeout=max(give_up - time.monotonic(), 0))
        if run.is_over():
            try:
                yield run.result(workspace)
            except Exception:  # the report must be written even if the store fails
                logger.warning("the result of %s is unknown", run.row.id, exc_info=True)


def _next_finished(
    under_way: UnderWay, workspace: Workspace, analyses: dict[str, Futures]
) -> RowResult:
    """Wait for the oldest pair; render it again if a stored result that it needs was lost."""
    for _ in range(HEALINGS):
        run = under_way[0]
        failed = run.failed()
        if failed is None or not isinstance(failed[1], LostArtefactError):
            break
        logger.warning("%s is rendered again: %s", run.row.id, failed[1])
        under_way[0] = _start_again(run, workspace, analyses)
    result = patiently(lambda: under_way[0].result(workspace))
    under_way.popleft()
    return result


def _start_again(run: PairRun, workspace: Workspace, analyses: dict[str, Futures]) -> PairRun:
    """Submit a pair's stages again; its inputs are analysed again if they are not stored."""
    parts = [part for part, _ in parts_of(run.job.ambience)]
    for source in (run.job.music, run.job.ambience, *parts):
        analyses.pop(source.key, None)
    return _start(run.row, run.job, workspace, analyses)


def _start(
    row: ManifestRow, job: PairJob, workspace: Workspace, analyses: dict[str, Futures]
) -> PairRun:
    """Submit a pair's stages."""
    inputs = [
        *_analyse(job.music, workspace, analyses),
        *_prepare(job.ambience, workspace, row.id, analyses),
    ]
    transfer = transfer_pair.submit(job, workspace, return_state=False, wait_for=inputs)
    finish = finish_pair.submit(job, workspace, return_state=False, wait_for=[transfer])
    return PairRun(row, job, inputs, transfer, finish)


def _analyse(job: AnalysisJob, workspace: Workspace, analyses: dict[str, Futures]) -> Futures:
    """Submit the analysis of an input once for all its pairs, and not at all if it is stored."""
    if job.key not in analyses:
        known = _is_stored(job, workspace)
        analyses[job.key] = [] if known else [compute_mels.submit(job, workspace)]
    return analyses[job.key]


def _is_stored(job: Job, workspace: Workspace) -> bool:
    return patiently(lambda: workspace.store.exists(job.stage, job.key))


def _prepare(
    ambience: AnalysisJob | BlendJob,
    workspace: Workspace,
    row_id: str,
    analyses: dict[str, Futures],
) -> Futures:
    """Submit the analyses of an ambience's files, and then their blend if there are several."""
    if isinstance(ambience, AnalysisJob):
        return _analyse(ambience, workspace, analyses)
    if ambience.key not in analyses:
        analyses[ambience.key] = []
        if not _is_stored(ambience, workspace):
            parts = [
                each for part in ambience.parts for each in _analyse(part, workspace, analyses)
            ]
            named = blend_ambiences.with_options(task_run_name=f"blend-{row_id}")
            blended = named.submit(ambience, workspace, return_state=False, wait_for=parts)
            analyses[ambience.key] = [*parts, blended]
    return analyses[ambience.key]


def _reason(future: PrefectFuture[Any]) -> BaseException:
    # The state's data may be a record of the exception instead of the exception.
    reason = future.result(raise_on_failure=False)
    if isinstance(reason, BaseException):
        return reason
    return RuntimeError(future.state.message or f"the task ended {future.state.name}")
