"""Whatever can happen to a stored file, at random, between and during reads."""

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.running.caching import artefact, produce
from tasks.running.retry import healing
from tasks.running.workspace import Workspace
from tests.soak.table import Outcome

KINDS = ("flip", "cut", "empty", "swap", "replace", "delete", "grow")


@dataclass(frozen=True)
class Number:
    """A job whose result is known: some bytes that follow from a number."""

    number: int
    stage = "numbers"

    @property
    def key(self) -> str:
        """Sha256 of the number."""
        return hashlib.sha256(b"%d" % self.number).hexdigest()

    def content(self) -> bytes:
        """Return the right bytes."""
        return random.Random(self.number).randbytes(20_000)


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Damage a file of a store, and use all its results; yield one outcome per kind of damage."""
    workspace = Workspace(str(folder / "store"), str(folder / "scratch"))
    jobs, chance = [Number(number) for number in range(12)], random.Random(1)
    outcomes = {kind: Outcome(f"damage, {kind}") for kind in KINDS}
    for job in jobs:
        _use(job, workspace)
    while time.monotonic() < give_up:
        kind = chance.choice(KINDS)
        files = sorted(path for path in (folder / "store").rglob("*") if path.is_file())
        damage(chance.choice(files), kind, chance.choice(files), chance)
        outcome = outcomes[kind]
        outcome.tried += 1
        outcome.wrong += sum(_use(job, workspace) != job.content() for job in jobs)
        outcome.survived += 1
    yield from outcomes.values()


def _use(job: Number, workspace: Workspace) -> bytes:
    def read() -> bytes:
        def make(path: Path) -> dict[str, str]:
            path.write_bytes(job.content())
            return {}

        produce(job, workspace, "bin", make)
        with artefact(job, workspace) as path:
            return path.read_bytes()

    return healing(read)


def damage(path: Path, kind: str, other: Path, chance: random.Random) -> None:
    """Change one file."""
    data = bytearray(path.read_bytes())
    if kind == "delete":
        path.unlink()
        return
    if kind == "flip" and data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[chance.randrange(len(data) + 1) :]
    elif kind == "empty":
        data.clear()
    elif kind == "swap":
        data = bytearray(other.read_bytes())
    elif kind == "replace":
        data = bytearray(chance.randbytes(len(data)))
    else:
        data += chance.randbytes(100)
    path.write_bytes(data)
