"""Work side by side in threads that share what the caller may use.

How many threads a computation may use is SciPy's setting ``fft.set_workers``, which holds for
the transforms of one thread; here it holds for everything.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scipy import fft


def side_by_side(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call all, in as many threads as this one has workers.

    Parameters
    ----------
    actions
        At least one. Each gets its share of the workers; with one worker they are called one
        after the other in this thread.

    Returns
    -------
    What they return, in their order; the first exception is raised.
    """
    n_workers = fft.get_workers()
    share = max(1, n_workers // len(actions))

    def call(action: Callable[[], Any]) -> Any:
        with fft.set_workers(share):  # which a new thread does not inherit
            return action()

    if n_workers == 1 or len(actions) == 1:
        return [action() for action in actions]
    with ThreadPoolExecutor(min(n_workers, len(actions))) as pool:
        return list(pool.map(call, actions))
