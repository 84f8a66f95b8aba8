"""Pairs in one process: one transfer at a time, what follows it beside the next."""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

from prefect.futures import PrefectFuture

from tasks import carriers
from tasks.blend import BlendJob, blend_ambiences
from tasks.caching import Job, Workspace
from tasks.finish import failed_stage, finish_pair
from tasks.mels import AnalysisJob, compute_mels
from tasks.results import RowResult, failure, success
from tasks.retry import patiently
from tasks.row import ManifestRow
from tasks.transfer import transfer_pair
from tasks.upload import UploadJob

Futures = list[PrefectFuture[Any]]
Stages = list[tuple[str, PrefectFuture[Any]]]
_FINISH = "finish"

logger = logging.getLogger(__name__)

_GRACE_S = 10.0
_BACKLOG = carriers.KEPT
"""Pairs that may wait for their inversion before the next transfer begins."""


UnderWay = deque[tuple[ManifestRow, UploadJob, Stages]]


def render_pairs(
    pairs: Sequence[tuple[ManifestRow, UploadJob]], workspace: Workspace, under_way: UnderWay
) -> Iterator[RowResult]:
    """Render pairs within a flow run; yield the result of each, in their order.

    While a pair is inverted and uploaded the next one is transferred. A pair's failure
    stops its own later stages and nothing else. `under_way`, empty at first, holds those
    that have begun and are not yielded; after an interruption `settle` tells of them.
    """
    analyses: dict[str, Futures] = {}
    for row, job in pairs:
        stages = _start(job, workspace, analyses)
        under_way.append((row, job, stages))
        _transfer(stages).wait()
        while under_way and (len(under_way) > _BACKLOG or _is_over(under_way[0][2])):
            yield _next_finished(under_way, workspace)
    while under_way:
        yield _next_finished(under_way, workspace)


def settle(under_way: UnderWay, workspace: Workspace) -> Iterator[RowResult]:
    """After an interruption: the results of the pairs that came to their end all the same.

    What runs of them is waited for, some seconds in all: it would come to its end unseen.
    What cannot be told is left out.
    """
    give_up = time.monotonic() + _GRACE_S
    for row, job, stages in under_way:
        stages[-1][1].wait(timeout=max(give_up - time.monotonic(), 0))
        if _is_over(stages):
            try:
                yield _finish(row, job, stages, workspace)
            except Exception:  # the report must be written, whatever the store is up to
                logger.warning("the result of %s is not known", row.id, exc_info=True)


def _next_finished(under_way: UnderWay, workspace: Workspace) -> RowResult:
    result = patiently(lambda: _finish(*under_way[0], workspace))
    under_way.popleft()
    return result


def _transfer(stages: Stages) -> PrefectFuture[Any]:
    return stages[-2][1]


def _is_over(stages: Stages) -> bool:
    over = Event()
    stages[-1][1].add_done_callback(lambda _: over.set())
    return over.is_set()


def _start(job: UploadJob, workspace: Workspace, analyses: dict[str, Futures]) -> Stages:
    """Submit a pair's stages."""
    transfer, row_id = job.render.transfer, job.row_id
    inputs = [
        *_analyse(transfer.music, workspace, analyses),
        *_prepare(transfer.ambience, workspace, row_id, analyses),
    ]
    transferred = transfer_pair.submit(
        transfer, workspace, row_id, return_state=False, wait_for=inputs
    )
    finished = finish_pair.submit(
        job, workspace, row_id, return_state=False, wait_for=[transferred]
    )
    later = ("transfer", transferred), (_FINISH, finished)
    return [*(("mels", each) for each in inputs), *later]


def _analyse(job: AnalysisJob, workspace: Workspace, analyses: dict[str, Futures]) -> Futures:
    """Submit the analysis of an input once, however many pairs use it; not if it is stored."""
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
            blended = blend_ambiences.submit(
                ambience, workspace, row_id, return_state=False, wait_for=parts
            )
            analyses[ambience.key] = [*parts, blended]
    return analyses[ambience.key]


def _finish(row: ManifestRow, job: UploadJob, stages: Stages, workspace: Workspace) -> RowResult:
    for stage, future in stages:
        future.wait()
        if not future.state.is_completed():
            reason = _reason(future)
            named = failed_stage(reason) if stage == _FINISH else stage
            result = failure(row, named, reason)
            break
    else:
        result = success(row, job, workspace, "ok")
    return result


def _reason(future: PrefectFuture[Any]) -> BaseException:
    # The state alone may hold a record of the exception instead of the exception.
    reason = future.result(raise_on_failure=False)
    if isinstance(reason, BaseException):
        return reason
    return RuntimeError(future.state.message or f"the task ended {future.state.name}")
