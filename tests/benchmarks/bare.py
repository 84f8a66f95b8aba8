"""Prefect alone in the shape of `render-shard`: what two task runs a pair cost without ours."""

import time

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner


@task(task_run_name="wait-{item}", cache_policy=NO_CACHE)
def wait(item: int, wait_s: float) -> None:
    """Stand for a transfer."""
    del item  # names the run
    time.sleep(wait_s)


@task(task_run_name="end-{item}", cache_policy=NO_CACHE)
def end(item: int) -> None:
    """Stand for what follows a transfer."""
    del item


@flow(task_runner=ThreadPoolTaskRunner(max_workers=3), persist_result=False)  # type: ignore[arg-type]  # generic
def bare(first: int, stop: int, wait_s: float) -> None:
    """Wait once for each item; its second task ends beside the wait of the next."""
    ends = []
    for item in range(first, stop):
        waited = wait.submit(item, wait_s, return_state=False)
        ends.append(end.submit(item, return_state=False, wait_for=[waited]))
        waited.wait()
    for each in ends:
        each.wait()
