"""Ctrl-C, SIGTERM, SIGHUP and SIGKILL at random moments of a render and of a training.

The same command goes on afterwards, and ends with the bytes that it would have made at once.
"""

import csv
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak import commands
from tests.soak.table import Outcome

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}
END_S = 180
_N_ROWS = 6


@dataclass
class _Victim:
    """A command that is interrupted until it is complete, and then begun anew."""

    name: str
    arguments: Callable[[Path, Path], list[str]]
    longest_s: float
    results: str
    sums: dict[str, bytes] = field(default_factory=dict)

    def compare(self, outcome: Outcome, output: Path) -> int:
        """Compare the results with those of earlier rounds; return how many there are."""
        paths = list(output.glob(self.results))
        for path in paths:
            data = path.read_bytes()
            outcome.wrong += self.sums.setdefault(path.name, data) != data
        return len(paths)


_VICTIMS = [
    _Victim("render", commands.render, 25, "*.wav"),
    _Victim("train", lambda folder, output: commands.train(folder / "dataset", output), 40, "*.h5"),
]


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Interrupt each command again and again until it is complete, then begin anew."""
    commands.prepare(folder, n_rows=_N_ROWS)
    for number, victim in enumerate(_VICTIMS):
        until = time.monotonic() + (give_up - time.monotonic()) / (len(_VICTIMS) - number)
        yield from _attack(until, folder, victim)


def _attack(give_up: float, folder: Path, victim: _Victim) -> Iterator[Outcome]:
    outcomes = {number: Outcome(f"{victim.name}, {number.name}") for number in CODES}
    chance, n = random.Random(1), 0
    while not n or time.monotonic() < give_up:
        output, n = folder / f"{victim.name}{n}", n + 1
        for _ in range(4):
            number = chance.choice(list(CODES))
            _interrupt(
                outcomes[number],
                number,
                folder,
                output,
                victim,
                chance.uniform(0.3, victim.longest_s),
            )
        ended = _start(folder, output, victim)
        last = outcomes[number]
        if ended.wait(10 * END_S):
            last.lost += 1
            last.remark = f"the same command did not go on: exit code {ended.returncode}"
        elif not victim.compare(last, output):
            last.lost += 1
            last.remark = "the same command made nothing"
        if orphans := commands.processes_of(folder):
            last.wrong += 1
            last.remark = f"orphans: {orphans}"
    yield from outcomes.values()


def _start(folder: Path, output: Path, victim: _Victim) -> commands.Process:
    return commands.start(
        victim.arguments(folder, output),
        folder / "log",
        store=Path(f"{output}-store"),
        scratch=folder / "scratch",
        home=folder / "prefect",
    )


def _interrupt(
    outcome: Outcome,
    number: signal.Signals,
    folder: Path,
    output: Path,
    victim: _Victim,
    after_s: float,
) -> None:
    outcome.tried += 1
    process = _start(folder, output, victim)
    time.sleep(after_s)
    code = commands.stopped(process, number, END_S)
    if code is None:
        outcome.remark = f"it did not end within {END_S} s of the signal"
        return
    if code in {CODES[number], 0, -number}:  # -2 and -15: before Python could listen
        outcome.survived += 1
    else:
        last = (folder / "log").read_text("utf-8", "replace").strip().splitlines()[-1:]
        outcome.remark = f"exit code {code} after {after_s:.1f} s: {last}"
    victim.compare(outcome, output)
    if number != signal.SIGKILL:
        _judge_what_is_left(outcome, folder, output)


def _judge_what_is_left(outcome: Outcome, folder: Path, output: Path) -> None:
    """Count unfinished files, and a report that does not have a line for every row."""
    places = (output, Path(f"{output}-store"))
    left = [path for place in places for path in place.rglob(".tmp-*")]
    if left:
        outcome.wrong += len(left)
        outcome.remark = f"left behind: {left[0]}"
    report = output / "results.csv"
    if report.exists():
        n_rows = len(list(csv.DictReader(report.open(encoding="utf-8"))))
        if n_rows != _N_ROWS:
            outcome.wrong += 1
            outcome.remark = f"{n_rows} rows in the report"
