"""Run `prefect worker start`, with a fix for early retries and a check of the pool's rules.

A worker takes a slot per run and frees it when the run's process has ended, seconds after the end
is reported. If Prefect 3.8's worker gets the run again in between, it dies of a RuntimeError, and
all its runs die with it. This worker leaves such a run for its next query of the pool.

A pool defines which variables a run may set. Prefect's server checks them only for runs of a
deployment, and its worker applies any variables. This worker makes a run crash that sets
variables which its pool does not allow.

With ``--end-with-stdin`` as its first argument, it ends when stdin is closed.
"""

import os
import signal
import sys
from typing import Any

from prefect.cli import app
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.utilities.schema_tools import validate
from prefect.workers.base import BaseJobConfiguration, BaseWorker

from flows.server_process.stdin import end_when_stdin_closes

_END_WITH_STDIN = "--end-with-stdin"


def leave_held_runs() -> None:
    """Make workers of this process skip runs whose slot they still hold."""
    submit = BaseWorker._submit_scheduled_flow_runs  # noqa: SLF001  # there is no hook for it

    async def submit_free(
        worker: BaseWorker[Any, Any, Any], flow_run_response: list[WorkerFlowRunResponse]
    ) -> list[FlowRun]:
        limiter = worker._limiter  # noqa: SLF001
        held = limiter.statistics().borrowers if limiter else ()
        free = [each for each in flow_run_response if each.flow_run.id not in held]
        return await submit(worker, free)

    BaseWorker._submit_scheduled_flow_runs = submit_free  # type: ignore[assignment,method-assign]  # noqa: SLF001


def keep_to_the_pool() -> None:
    """Make workers of this process refuse runs whose variables their pool does not allow."""
    fill = BaseJobConfiguration.from_template_and_values.__func__  # type: ignore[attr-defined]

    async def fill_checked(
        cls: type[BaseJobConfiguration],
        base_job_template: dict[str, Any],
        values: dict[str, Any],
        client: PrefectClient | None = None,
    ) -> BaseJobConfiguration:
        validate(
            values,
            base_job_template["variables"],
            raise_on_error=True,
            ignore_required=True,
            allow_none_with_default=True,
        )
        filled: BaseJobConfiguration = await fill(cls, base_job_template, values, client=client)
        return filled

    BaseJobConfiguration.from_template_and_values = classmethod(fill_checked)  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    leave_held_runs()
    keep_to_the_pool()
    if sys.argv[1:2] == [_END_WITH_STDIN]:
        del sys.argv[1]
        end_when_stdin_closes(lambda: os.kill(os.getpid(), signal.SIGTERM))
    app()
