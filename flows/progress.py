"""Who wants to know how far a flow is: the command line's progress bar, or nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Hears of a flow's progress, in the flow's own thread."""

    def stage(self, name: str) -> None:
        """A stage of the whole flow begins."""

    def pairs(self, n_pairs: int) -> None:
        """So many pairs were asked for."""

    def pair(self, name: str, status: str, reason: str) -> None:
        """One of them is over; `reason` is empty where all is well."""

    def ended(self, summary: str, report: str) -> None:
        """The report is written, whole or, after an interruption, in part."""


class _Nobody:
    def stage(self, name: str) -> None:
        pass

    def pairs(self, n_pairs: int) -> None:
        pass

    def pair(self, name: str, status: str, reason: str) -> None:
        pass

    def ended(self, summary: str, report: str) -> None:
        pass


_listener: ContextVar[Listener] = ContextVar("listener", default=_Nobody())  # noqa: B039  # stateless


def listener() -> Listener:
    """The listener of the running flow."""
    return _listener.get()


@contextmanager
def listening(to: Listener) -> Iterator[None]:
    """Let `to` hear of the flows called within."""
    token = _listener.set(to)
    try:
        yield
    finally:
        _listener.reset(token)
