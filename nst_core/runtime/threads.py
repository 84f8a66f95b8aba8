"""Thread budget of a computation, and parallel calls within this budget."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from scipy import fft

_budget: ContextVar[int] = ContextVar("_budget", default=1)


@contextmanager
def thread_budget(n_threads: int) -> Iterator[None]:
    """Let computations in this thread use `n_threads` threads, including SciPy's transforms.

    Every thread has its own budget, by default one; a new thread does not inherit it.
    """
    token = _budget.set(n_threads)
    try:
        with fft.set_workers(n_threads):
            yield
    finally:
        _budget.reset(token)


def available_threads() -> int:
    """Return the budget of this thread."""
    return _budget.get()


def side_by_side(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call all actions, in as many threads as `thread_budget` allows.

    Parameters
    ----------
    actions
        At least one. Each gets a share of the budget; with a budget of one they are called
        one after the other in this thread.

    Returns
    -------
    Results in the order of the actions; the first exception is raised.
    """
    n_threads = available_threads()
    share = max(1, n_threads // len(actions))

    def call(action: Callable[[], Any]) -> Any:
        with thread_budget(share):
            return action()

    if n_threads == 1 or len(actions) == 1:
        return [action() for action in actions]
    with ThreadPoolExecutor(min(n_threads, len(actions))) as pool:
        return list(pool.map(call, actions))
