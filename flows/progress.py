"""Progress callbacks of a flow: the command line's progress bar, or none."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Callbacks that a flow calls in its own thread."""

    def stage(self, name: str) -> None:
        """Handle the start of a stage of the whole flow."""

    def pairs(self, n_pairs: int) -> None:
        """Handle the number of pairs to render."""

    def at_work(self, name: str) -> None:
        """Handle the start of a pair's transfer."""

    def pair(self, name: str, status: str, reason: str) -> None:
        """Handle the end of a pair; `reason` is empty if it succeeded."""

    def ended(self, summary: str, report: str) -> None:
        """Handle the written report, which is partial after an interruption."""


class _Nobody:
    def stage(self, name: str) -> None:
        pass

    def pairs(self, n_pairs: int) -> None:
        pass

    def at_work(self, name: str) -> None:
        pass

    def pair(self, name: str, status: str, reason: str) -> None:
        pass

    def ended(self, summary: str, report: str) -> None:
        pass


_listener: ContextVar[Listener] = ContextVar("listener", default=_Nobody())  # noqa: B039  # stateless


def listener() -> Listener:
    """Return the listener of the running flow."""
    return _listener.get()


@contextmanager
def listening(to: Listener) -> Iterator[None]:
    """Send the progress of the flows that are called within to `to`."""
    token = _listener.set(to)
    try:
        yield
    finally:
        _listener.reset(token)
