"""Display of a flow on a terminal: its stages, its pairs, its log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from flows.cli.interruption import end_soon, is_interrupted
from flows.cli.pulse import EVERY_S, Pace, pulse
from flows.progress import listening
from tasks.report.page.places import page_beside

if TYPE_CHECKING:
    from flows.catalog import Accepted

_LOGGERS = ("nst_core", "tasks", "flows")


class Screen:
    """A `flows.progress.Listener` that writes to stderr.

    A terminal shows a bar that names the pair at work. Elsewhere, such as in a log file, a line
    every 30 seconds says the same.

    Parameters
    ----------
    every_s
        Time between two of these lines.
    """

    def __init__(self, *, every_s: float = EVERY_S) -> None:
        self._console = Console(stderr=True)
        self._every_s = every_s
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=0, visible=False, left="")
        self._stage, self._pair = "", ""
        self._stage_began_s = 0.0
        self._n_over = self._n_pairs = 0
        self._pace = Pace(time.monotonic)

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
            with self._progress, listening(self), pulse(self._beat, every_s=self._every_s):
                yield self
        finally:
            for logger in loggers:
                logger.removeHandler(handler)

    def _beat(self) -> None:
        if not self._console.is_terminal and self._stage:
            self.say(f"  {self.line()}")

    def line(self) -> str:
        """Return what is being done now, in one line."""
        if not self._n_pairs or not self._pair:
            return f"{self._stage}: {time.monotonic() - self._stage_began_s:.0f} s until now"
        parts = [f"{self._n_over} of {self._n_pairs} pairs", f"at work: {self._pair}"]
        return ", ".join(filter(None, [*parts, self._left()]))

    def _left(self) -> str:
        return self._pace.left(self._n_pairs - self._n_over)

    def say(self, text: str) -> None:
        """Print a line without wrapping it."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stage(self, name: str) -> None:
        """Name the stage that begins."""
        self._stage, self._pair = name, ""
        self._stage_began_s = time.monotonic()
        self.say(f"- {name}")

    def pairs(self, n_pairs: int) -> None:
        """Show a bar for `n_pairs` pairs."""
        self._n_pairs, self._n_over = n_pairs, 0
        self._progress.reset(self._bar, total=n_pairs, visible=n_pairs > 0, left="")

    def at_work(self, name: str) -> None:
        """Name the pair whose transfer begins."""
        self._pair = name
        self._pace.begin()
        self._progress.update(self._bar, description=name)

    def pair(self, name: str, status: str, reason: str) -> None:
        """Count a pair that has ended, and print why it has no output."""
        if status == "ok":
            self._pace.count()
        if status != "not_run":
            self._n_over += 1
            self._progress.update(self._bar, completed=self._n_over, left=self._left())
        if reason:
            line = f"[red]{status}[/red] {escape(f'{name}: {reason}')}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def ended(self, summary: str, report: str) -> None:
        """Print the summary, and the places of the report and of the listening page."""
        self.say(summary)
        self.say(f"report: {report}")
        self.say(f"listen: {page_beside(report)}")
        self._stage = ""
        if is_interrupted():
            end_soon()


def say_notes(accepted: "Accepted") -> None:
    """Print what was recognised in a manifest that is not UTF-8 with commas."""
    manifest, _ = accepted
    for note in manifest.notes:
        sys.stderr.write(f"note: {note}\n")


@contextmanager
def waiting(
    *, every_s: float = EVERY_S
) -> Iterator[tuple[Callable[[str], None], Callable[[float], None]]]:
    """Yield a function that prints a warning, and one that takes the percentage of pairs.

    A terminal shows a bar; elsewhere a line is printed every 30 seconds.
    """
    console = Console(stderr=True)
    columns = TextColumn("  pairs"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        percent = bar.add_task("", total=100)

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        def beat() -> None:
            if not console.is_terminal:
                say(f"waiting: {bar.tasks[0].completed:.0f} % of the pairs")

        with pulse(beat, every_s=every_s):
            yield (
                lambda text: say(f"amnst: {text}"),
                lambda done: bar.update(percent, completed=done),
            )


@contextmanager
def working(what: str, *, every_s: float = 10.0) -> Iterator[None]:
    """Say what is being done while the body runs, and for how long.

    A terminal shows the seconds as they pass; elsewhere a line every ten seconds says the same.
    """
    console = Console(stderr=True)
    began_s = time.monotonic()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        console.print(what, markup=False, highlight=False, soft_wrap=True)
        shown.add_task(what, total=None)

        def beat() -> None:
            if not console.is_terminal:
                sys.stderr.write(f"  {what}: {time.monotonic() - began_s:.0f} s until now\n")

        with pulse(beat, every_s=every_s):
            yield
