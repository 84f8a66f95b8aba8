"""Time of a batch's pairs, kept on this machine for the estimates of `amnst check`."""

import time
from collections.abc import Iterator, Mapping, Sequence

from flows.settings import rates_file
from tasks.jobs.pair import PairJob
from tasks.report.rates import Rate, remember
from tasks.report.results import RowResult
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError

_MOST_ASKED = 20
"""Pairs of a batch whose results are looked up in the store, which may be a bucket."""


def timed(
    results: Iterator[RowResult], jobs: Mapping[int, PairJob], workspace: Workspace
) -> Iterator[RowResult]:
    """Yield the results of a batch, then remember what its rendered pairs have taken.

    Parameters
    ----------
    jobs
        Job of each row, by line.
    """
    started = time.perf_counter()
    rendered = []
    for result in results:
        if result.status == "ok":
            rendered.append(result)
        yield result
    seconds = time.perf_counter() - started
    remember(_rates(rendered[-_MOST_ASKED:], len(rendered), seconds, jobs, workspace), rates_file())


def _rates(
    some: Sequence[RowResult],
    n_rendered: int,
    seconds: float,
    jobs: Mapping[int, PairJob],
    workspace: Workspace,
) -> Iterator[Rate]:
    """Divide the time of a batch, in which pairs overlap, by the work of each pair."""
    work_s = [_work_s(result) for result in some]
    scale = seconds * len(some) / n_rendered / sum(work_s) if sum(work_s) else 0.0
    for result, own_s in zip(some, work_s, strict=True):
        job = jobs[result.line]
        yield Rate(
            preset=job.preset,
            iterations=job.config.n_iterations,
            music_s=result.facts["duration_s"],
            seconds=round(own_s * scale, 3),
            store_bytes=_store_bytes(job, workspace),
        )


def _work_s(result: RowResult) -> float:
    times = (result.facts.get(name) for name in ("transfer_seconds", "invert_seconds"))
    return sum(each or 0.0 for each in times)


def _store_bytes(job: PairJob, workspace: Workspace) -> int:
    music = (job.music.stage, job.music.key)
    try:
        found = [workspace.store.find(*key) for key in (music, job.transfer, job.audio)]
    except StorageError:  # the pair is finished, and its time is still worth keeping
        return 0
    return sum(record.size for record in found if record)
