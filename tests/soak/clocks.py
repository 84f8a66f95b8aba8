"""Clocks that jump: files from the future and from long ago, and leases between them."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from tasks.running.workspace import Workspace, _remove_forgotten_once
from tasks.storage.lease import Writer, hold
from tests.soak.damage import Number, _use
from tests.soak.table import Outcome

_YEARS = 365 * 86_400.0


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Move the time stamps of all files by up to ten years, and work there."""
    workspace, chance = Workspace(str(folder / "store"), str(folder / "scratch")), random.Random(1)
    jobs = [Number(number) for number in range(8)]
    results, leases = Outcome("clocks, results"), Outcome("clocks, leases")
    place = folder / "out"
    while time.monotonic() < give_up:
        results.tried += 1
        results.wrong += sum(_use(job, workspace) != job.content() for job in jobs)
        results.survived += 1
        with workspace.scratch_folder() as used:
            (used / "artefact").write_bytes(b"in use")
            _jump([path for path in folder.rglob("*") if path != used], chance)
            _remove_forgotten_once.cache_clear()
            with workspace.scratch_folder():
                results.lost += not (used / "artefact").is_file()
        leases.tried += 1
        for run in ("first", "second"):  # the second run finds the folder free again
            with hold(str(place), Writer(run_id=run, name=run), lease_s=5) as lease:
                _jump(list(place.rglob("*")), chance)
                lease.claim.check()
        leases.survived += 1
    yield results
    yield leases


def _jump(paths: list[Path], chance: random.Random) -> None:
    for path in paths:
        at = time.time() + chance.uniform(-10 * _YEARS, 10 * _YEARS)
        os.utime(path, (at, at))
