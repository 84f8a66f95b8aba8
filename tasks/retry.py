"""What deserves a second attempt."""

from typing import TYPE_CHECKING, Any

from nst_core.errors import NSTError
from tasks.files import StorageError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun


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
    """Decide for Prefect: ``@task(retries=3, retry_condition_fn=retry_transient)``."""
    del task, task_run  # the exception alone decides
    # Read as data: State.result() is a coroutine inside an event loop.
    return isinstance(state.data, BaseException) and is_transient(state.data)
