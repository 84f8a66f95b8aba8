"""What deserves a second attempt, and when."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from nst_core.errors import NSTError
from tasks.files import StorageError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

T = TypeVar("T")
logger = logging.getLogger(__name__)

DELAYS_S = [2.0, 10.0, 30.0, 60.0, 120.0]
"""Before each further attempt: a server that restarts is back by then."""


def is_transient(exception: BaseException) -> bool:
    """Say whether the same call may succeed later.

    A lost connection, a timeout or a busy server may be gone in a minute. A bad
    file, a wrong value or a full disk will not: every other `NSTError` fails at once.
    """
    if isinstance(exception, StorageError):
        return exception.transient
    if isinstance(exception, NSTError):
        return False
    return isinstance(exception, ConnectionError | TimeoutError)


def retry_transient(task: "Task[..., Any]", task_run: "TaskRun", state: "State[Any]") -> bool:
    """Decide for Prefect whether a task is tried again."""
    del task, task_run  # the exception alone decides
    # Read as data: State.result() is a coroutine inside an event loop.
    return isinstance(state.data, BaseException) and is_transient(state.data)


class _Retries(TypedDict):
    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[["Task[..., Any]", "TaskRun", "State[Any]"], bool]


RETRIES: _Retries = {
    "retries": len(DELAYS_S),
    "retry_delay_seconds": DELAYS_S,
    "retry_condition_fn": retry_transient,
}
"""How every task is tried again: ``@task(name="...", **RETRIES)``."""


def patiently(call: Callable[[], T]) -> T:
    """Call again while a store is away, as tasks do: for what a flow does itself."""
    for delay_s in DELAYS_S:
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("tried again in %.0f s: %s", delay_s, error)
            time.sleep(delay_s)
    return call()
