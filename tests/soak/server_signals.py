"""Ctrl-C, SIGTERM, SIGHUP and SIGKILL at random moments of `serve` and of `submit --wait`."""

import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak import commands
from tests.soak.signals import CODES, END_S
from tests.soak.table import Outcome

_ORPHANS_S = 60.0
"""After this time nothing of a server is left, even if it was killed: its parts notice that."""


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Interrupt `submit --wait` while a server runs, and then the server again and again."""
    commands.prepare(folder, n_rows=3)
    chance = random.Random(1)
    submits = {number: Outcome(f"submit, {number.name}") for number in CODES}
    serves = {number: Outcome(f"serve, {number.name}") for number in CODES}
    half = time.monotonic() + (give_up - time.monotonic()) / 2
    with _server(folder) as server:
        if not _is_up(server, folder):
            first = serves[signal.SIGTERM]
            first.tried, first.remark = 1, f"it did not start: {_last_words(folder)}"
            yield first
            return
        number = signal.SIGTERM
        while not submits[number].tried or time.monotonic() < half:
            _interrupt_waiting(submits[number], number, folder, chance.uniform(0.3, 20))
            number = chance.choice(list(CODES))
        _go_on(submits[signal.SIGTERM], folder)
        yield from submits.values()
        _end(serves[signal.SIGTERM], signal.SIGTERM, server, folder)
    while time.monotonic() < give_up:
        number = chance.choice(list(CODES))
        with _server(folder) as server:
            time.sleep(chance.uniform(0.3, 40))
            _end(serves[number], number, server, folder)
    with _server(folder) as server:
        last = serves[signal.SIGINT]
        if not _is_up(server, folder):
            last.lost += 1
            last.remark = f"it did not start again: {_last_words(folder)}"
        _end(last, signal.SIGINT, server, folder)
    yield from serves.values()


def _start(folder: Path, *arguments: str, log: str) -> commands.Process:
    return commands.start(
        arguments,
        folder / log,
        store=folder / "store",
        scratch=folder / "scratch",
        home=folder / "prefect",
    )


@contextmanager
def _server(folder: Path) -> Iterator[commands.Process]:
    (folder / "serve.log").write_bytes(b"")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = _start(folder, "serve", "--port", str(port), log="serve.log")
    try:
        yield process
    finally:
        process.kill()  # if it has not ended
        process.wait()


def _is_up(server: commands.Process, folder: Path) -> bool:
    give_up = time.monotonic() + END_S
    while server.poll() is None and time.monotonic() < give_up:
        if "UI: " in (folder / "serve.log").read_text():
            return True
        time.sleep(0.2)
    return False


def _submit(folder: Path) -> commands.Process:
    given = commands.render(folder, folder / "output")
    return _start(folder, "submit", *given[1:], "--wait", log="submit.log")


def _interrupt_waiting(
    outcome: Outcome, number: signal.Signals, folder: Path, after_s: float
) -> None:
    outcome.tried += 1
    process = _submit(folder)
    time.sleep(after_s)
    ended = process.poll()
    code = commands.stopped(process, number, END_S) if ended is None else CODES[number]
    if code in {CODES[number], 0, -number}:
        outcome.survived += 1
    else:
        outcome.remark = f"exit code {code} after {after_s:.1f} s"


def _go_on(outcome: Outcome, folder: Path) -> None:
    """Submit again until a run completes: interrupted commands leave runs that hold the folder."""
    give_up = time.monotonic() + END_S
    while _submit(folder).wait(2 * END_S):
        if time.monotonic() > give_up:
            outcome.lost += 1
            outcome.remark = "the same command did not go on"
            return
        time.sleep(3)


def _end(outcome: Outcome, number: signal.Signals, server: commands.Process, folder: Path) -> None:
    """End a server; nothing of it may be left."""
    outcome.tried += 1
    code = commands.stopped(server, number, END_S)
    if code in {CODES[number], 0, -number}:
        outcome.survived += 1
    else:
        outcome.remark = f"exit code {code}: {_last_words(folder)}"
    give_up = time.monotonic() + _ORPHANS_S
    while (left := commands.processes_of(folder)) and time.monotonic() < give_up:
        time.sleep(0.5)
    if left:
        outcome.wrong += 1
        outcome.remark = f"orphans: {left}"


def _last_words(folder: Path) -> list[str]:
    return (folder / "serve.log").read_text("utf-8", "replace").strip().splitlines()[-1:]
