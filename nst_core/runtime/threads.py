"""Thread budget of a computation, and parallel calls within this budget."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np  # noqa: F401  # only a BLAS that is loaded can be limited: NumPy's,
import scipy.linalg  # noqa: F401  # and SciPy's own
from scipy import fft
from threadpoolctl import threadpool_limits

_budget: ContextVar[int] = ContextVar("_budget", default=1)


def limit_blas() -> None:
    """Keep NumPy's matrix products in the calling thread, for as long as the process lives.

    They are small here, and the work is already parallel. BLAS's own threads would spin, which
    doubles the CPU time without being faster, and their results differ between machines. A process
    that only renders calls this at its start; elsewhere `thread_budget` limits them for a while.
    """
    threadpool_limits(1, user_api="blas")


class _OneBlasThread:
    """Limit BLAS as long as anybody is within; then the process has its own setting again.

    The setting belongs to the whole process, so the first one in and the last one out change it.
    OpenBLAS raises it only for the main thread: if another is the last one out, it stays at one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_within = 0
        self._limits: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._n_within == 0:
                self._limits = threadpool_limits(1, user_api="blas")
            self._n_within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_within -= 1
            if self._n_within == 0 and self._limits is not None:
                self._limits.restore_original_limits()


_one_blas_thread = _OneBlasThread()


@contextmanager
def thread_budget(n_threads: int) -> Iterator[None]:
    """Let computations in this thread use `n_threads` threads, including SciPy's transforms.

    Every thread has its own budget, by default one; a new thread does not inherit it. Meanwhile
    BLAS uses one thread in the whole process, as after `limit_blas`.
    """
    token = _budget.set(n_threads)
    try:
        with fft.set_workers(n_threads), _one_blas_thread:
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
