"""Display of a flow on a terminal: its stages, its pairs, its log."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from flows.catalog import Accepted
from flows.progress import listening
from tasks.report.page.places import page_beside

_LOGGERS = ("nst_core", "tasks", "flows")


class Screen:
    """A `flows.progress.Listener` that draws on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._bar = self._progress.add_task("", total=None, visible=False)

    @contextmanager
    def shown(self) -> Iterator["Screen"]:
        """Draw the progress and show the log of our own packages while a flow runs."""
        handler = RichHandler(
            console=self._console, show_path=False, show_level=False, show_time=False
        )
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        for logger in loggers:
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
        try:
            with self._progress, listening(self):
                yield self
        finally:
            for logger in loggers:
                logger.removeHandler(handler)

    def say(self, text: str) -> None:
        """Print a line without wrapping it."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stage(self, name: str) -> None:
        """Name the stage that begins."""
        self.say(f"- {name}")

    def pairs(self, n_pairs: int) -> None:
        """Show a bar for `n_pairs` pairs."""
        self._progress.reset(self._bar, total=n_pairs, description="  pairs", visible=n_pairs > 0)

    def pair(self, name: str, status: str, reason: str) -> None:
        """Count a pair that has ended, and print why it has no output."""
        if status != "not_run":
            self._progress.advance(self._bar)
        if reason:
            line = f"[red]{status}[/red] {escape(f'{name}: {reason}')}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def ended(self, summary: str, report: str) -> None:
        """Print the summary, and the places of the report and of the listening page."""
        self.say(summary)
        self.say(f"report: {report}")
        self.say(f"listen: {page_beside(report)}")


def say_notes(accepted: Accepted) -> None:
    """Print what was recognised in a manifest that is not UTF-8 with commas."""
    manifest, _ = accepted
    for note in manifest.notes:
        sys.stderr.write(f"note: {note}\n")


@contextmanager
def waiting() -> Iterator[tuple[Callable[[str], None], Callable[[float], None]]]:
    """Yield a function that prints a warning, and one that sets a bar to a percentage.

    Only a terminal shows the bar.
    """
    console = Console(stderr=True)
    columns = TextColumn("  pairs"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        percent = bar.add_task("", total=100)

        def warn(text: str) -> None:
            console.print(f"amnst: {text}", markup=False, highlight=False, soft_wrap=True)

        def show(done: float) -> None:
            bar.update(percent, completed=done)

        yield warn, show
