"""`prefect worker start`, for a worker that outlives a run which is retried too early.

A worker takes a slot per run and gives it back when the run's process is gone, seconds after
its end is told. Prefect 3.8's own, handed the run again in between, dies of a RuntimeError and
takes all its runs along. This one leaves such a run for its next look at the pool.
"""

from typing import Any

from prefect.cli import app
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.workers.base import BaseWorker


def leave_held_runs() -> None:
    """Let workers of this process pass over runs whose slot they still hold."""
    submit = BaseWorker._submit_scheduled_flow_runs  # noqa: SLF001  # there is no hook for it

    async def submit_free(
        worker: BaseWorker[Any, Any, Any], flow_run_response: list[WorkerFlowRunResponse]
    ) -> list[FlowRun]:
        limiter = worker._limiter  # noqa: SLF001
        held = limiter.statistics().borrowers if limiter else ()
        free = [each for each in flow_run_response if each.flow_run.id not in held]
        return await submit(worker, free)

    BaseWorker._submit_scheduled_flow_runs = submit_free  # type: ignore[assignment,method-assign]  # noqa: SLF001


if __name__ == "__main__":
    leave_held_runs()
    app()
