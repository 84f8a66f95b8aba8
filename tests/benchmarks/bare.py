"""Prefect alone in the shape of `render-shard`: the cost of task runs without our code."""

import time

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner


@task(task_run_name="wait-{item}", cache_policy=NO_CACHE)
def wait(item: int, wait_s: float) -> None:
    """Stand in for a transfer."""
    del item  # names the run
    time.sleep(wait_s)


@task(task_run_name="end-{item}", cache_policy=NO_CACHE)
def end(item: int) -> None:
    """Stand in for the stages after a transfer."""
    del item


@flow(task_runner=ThreadPoolTaskRunner(max_workers=3), persist_result=False)  # type: ignore[arg-type]  # generic
def bare(first: int, stop: int, wait_s: float, n_tasks: int) -> None:
    """Wait once per item, in a task run or in none; a second one ends during the next wait."""
    ends = []
    for item in range(first, stop):
        if n_tasks == 0:
            time.sleep(wait_s)
            continue
        waited = wait.submit(item, wait_s, return_state=False)
        if n_tasks == 2:
            ends.append(end.submit(item, return_state=False, wait_for=[waited]))
        waited.wait()
    for each in ends:
        each.wait()
