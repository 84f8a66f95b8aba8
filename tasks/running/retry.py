"""Which errors are retried, and when."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from nst_core.errors import NSTError
from tasks.storage.errors import LostArtefactError, StorageError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)

DELAYS_S = [2.0, 10.0, 30.0, 60.0, 120.0]
"""Delays before each further attempt, in all long enough for a server to restart."""


def is_transient(exception: BaseException) -> bool:
    """Return whether the same call may succeed later.

    A lost connection, a timeout or a busy server may recover within a minute. A bad
    file, a wrong value or a full disk will not: every other `NSTError` fails at once.
    """
    if isinstance(exception, StorageError):
        return exception.transient
    if isinstance(exception, NSTError):
        return False
    return isinstance(exception, ConnectionError | TimeoutError)


def retry_transient(task: "Task[..., Any]", task_run: "TaskRun", state: "State[Any]") -> bool:
    """Tell Prefect whether to retry a task."""
    del task, task_run  # the exception alone decides
    # Inside an event loop, State.result() would be a coroutine.
    return isinstance(state.data, BaseException) and is_transient(state.data)


HEALINGS = 6
"""Attempts to replace damaged results; a pair reads at most six, one after the other."""


class _Retries(TypedDict):
    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[["Task[..., Any]", "TaskRun", "State[Any]"], bool]


RETRIES: _Retries = {
    "retries": len(DELAYS_S),
    "retry_delay_seconds": DELAYS_S,
    "retry_condition_fn": retry_transient,
}
"""Retry options of every task: ``@task(name="...", **RETRIES)``."""


def patiently(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call, and retry as tasks do while a store is unreachable; for calls in a flow itself."""
    return retrying(
        partial(call, *args, **kwargs),
        delays_s=DELAYS_S,
        is_passing=is_transient,
        tell=lambda error, delay_s: logger.warning("retry in %.0f s: %s", delay_s, error),
    )


def healing(call: Callable[[], T]) -> T:
    """Call, and call again while a stored result that it reads turns out to be damaged.

    The store forgets a damaged result when it notices the damage, so the next call makes it again.
    """
    return retrying(
        call,
        delays_s=[0.0] * HEALINGS,
        is_passing=lambda error: isinstance(error, LostArtefactError),
        tell=lambda error, _: logger.warning("made again: %s", error),
    )


# Not tenacity: it would need the same four arguments and be one more dependency.
def retrying(
    call: Callable[[], T],
    *,
    delays_s: Iterable[float],
    is_passing: Callable[[Exception], bool],
    tell: Callable[[Exception, float], None],
) -> T:
    """Call, and call again after each delay while the error is temporary.

    Parameters
    ----------
    call
        Function to call; calling it twice must do no harm.
    delays_s
        Delays before each further attempt; after the last one, an error is raised.
    is_passing
        Returns whether the same call may succeed later.
    tell
        Called with each temporary error and the delay.
    """
    for delay_s in delays_s:
        try:
            return call()
        except Exception as error:
            if not is_passing(error):
                raise
            tell(error, delay_s)
            time.sleep(delay_s)
    return call()


def every(delay_s: float, *, within_s: float) -> Iterator[float]:
    """Yield the same delay until `within_s` seconds have passed."""
    give_up = time.monotonic() + within_s
    while time.monotonic() <= give_up:
        yield delay_s
