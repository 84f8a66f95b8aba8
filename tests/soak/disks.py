"""A full disk, for every kind of folder that a command writes to."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.server.home import HomeError
from flows.server_process.temporary import TemporaryServer
from nst_core.errors import NSTError
from tasks.download import fetch_dataset
from tasks.report.results import RowResult
from tasks.report.tables import write_report
from tasks.running.caching import produce
from tasks.running.workspace import Workspace
from tasks.storage.files import publish, write_bytes
from tasks.storage.store import Store
from tests.soak.damage import Number
from tests.soak.table import Outcome
from tests.soak.targets import seeds


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Fill a disk of 1 MiB to a random degree, and write there."""
    with mounted(folder / "disk", "size=1m,nr_inodes=60") as disk:
        if disk is None:
            yield Outcome("full disk", remark="not tried: this user may not mount a disk")
            return
        yield from _attack(give_up, folder, disk)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path | None]:
    """Mount a small disk in memory; yield None if this user may not."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _attack(give_up: float, folder: Path, disk: Path) -> Iterator[Outcome]:
    archive = folder / "g.tgz"
    archive.write_bytes(seeds("archive")[3])
    made = folder / "made"
    made.write_bytes(random.Random(1).randbytes(100_000))
    rows = [
        RowResult(line=n, id=f"r{n}", status="skipped", facts={"note": "x" * 500})
        for n in range(999)
    ]
    away = Workspace(str(folder / "store"), str(disk / "scratch"))
    here = Workspace(str(disk / "store"), str(folder / "scratch"))

    def fill_scratch(path: Path) -> dict[str, str]:
        path.write_bytes(made.read_bytes() * 3)
        return {}

    actions: dict[str, Callable[[], object]] = {
        "store": lambda: Store(here.store_uri).commit("s", os.urandom(8).hex(), made, "bin", {}),
        "output": lambda: publish(made, str(disk / "out" / "a.wav")),
        "report": lambda: write_report(rows, here, str(disk / "out")),
        "record": lambda: write_bytes(str(disk / "out" / "r.json"), bytes(3000)),
        "scratch": lambda: produce(Number(time.monotonic_ns()), away, "bin", fill_scratch),
        "dataset": lambda: fetch_dataset(str(archive), disk / "data"),
        "Prefect's home": lambda: TemporaryServer(disk / "home", verbose=False).stop(),
    }
    for name, action in actions.items():
        for left in disk.iterdir():
            shutil.rmtree(left)
        yield _filled(f"full disk, {name}", action, disk, give_up, len(actions))


def _filled(name: str, action: Callable[[], object], disk: Path, give_up: float, n: int) -> Outcome:
    chance, outcome = random.Random(name), Outcome(name)
    until = time.monotonic() + max(give_up - time.monotonic(), 1) / n
    while outcome.tried < 40 and (outcome.tried < 3 or time.monotonic() < until):
        kept = {path: path.read_bytes() for path in disk.rglob("*.wav") if path.is_file()}
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb") as stream:
            for _ in range(chance.randrange(1, 256)):
                stream.write(bytes(4096))
                stream.flush()
        outcome.tried += 1
        try:
            action()
            outcome.survived += 1
        except (NSTError, HomeError):
            outcome.refused += 1
        except Exception as error:  # noqa: BLE001  # the finding that this attack looks for
            outcome.remark = f"{type(error).__name__}: {error}"
        outcome.lost += sum(not path.is_file() for path in kept)
        outcome.wrong += sum(
            path.stat().st_size not in {len(data), 100_000}
            for path, data in kept.items()
            if path.is_file()
        )
        left = [path for path in disk.rglob(".tmp-*") if path.is_file()]
        outcome.wrong += len(left)
        filler.unlink(missing_ok=True)
    return outcome
