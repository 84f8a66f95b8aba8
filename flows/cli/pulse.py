"""Signs of life of a command that takes long: a line now and then where no terminal shows a bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY_S = 30.0


@contextmanager
def pulse(tell: Callable[[], None], *, every_s: float = EVERY_S) -> Iterator[None]:
    """Call `tell` in a thread every `every_s` seconds while the body runs."""
    stop = Event()

    def beat() -> None:
        while not stop.wait(every_s):
            tell()

    thread = Thread(target=beat, name="amnst-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


class Pace:
    """Speed of the pairs that are rendered now, and what it says about the time left.

    Pairs that were finished before take no time, so they do not count.
    """

    _LEAST = 3
    """One or two pairs say little: the first one also loads the model."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._began_s: float | None = None
        self._n_rendered = 0

    def begin(self) -> None:
        """Note the start of the first pair; further calls do nothing."""
        if self._began_s is None:
            self._began_s = self._now_s()

    def count(self) -> None:
        """Count a pair that has been rendered."""
        self._n_rendered += 1

    def left(self, n_left: int) -> str:
        """Return the time left for `n_left` pairs in words; empty while that means nothing."""
        if self._began_s is None or self._n_rendered < self._LEAST or n_left < 1:
            return ""
        return in_words((self._now_s() - self._began_s) / self._n_rendered * n_left)


def in_words(seconds: float) -> str:
    """Return a rough duration, such as ``about 5 min left``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute left"
    if minutes < 100:
        return f"about {minutes} min left"
    return f"about {seconds / 3600:.0f} h left"
