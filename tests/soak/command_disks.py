"""A full disk under each folder that a command writes to; the same command goes on afterwards."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.soak import commands
from tests.soak.disks import mounted
from tests.soak.table import Outcome

_FREE_KIB = (0, 24, 200, 700, 2000)
_END_S = 300
_REFUSED = re.compile(r"^amnst: (.+) \[[a-z_]+\]$", re.MULTILINE)
_ROW_FAILED = re.compile(r"^failed (.+)$", re.MULTILINE)


@dataclass
class _Case:
    """A command, and the folder of it that is on the full disk."""

    command: str
    on_disk: str

    @property
    def name(self) -> str:
        return f"full disk, {self.command}'s {self.on_disk}"


_CASES = [
    *(_Case("render", place) for place in ("output", "store", "scratch", "home")),
    *(_Case("transfer", place) for place in ("output", "scratch")),
    *(_Case("train", place) for place in ("output", "store", "scratch", "home")),
    _Case("report", "output"),
    _Case("serve", "home"),
]


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Run every command with too little room in one of its folders, and again with enough."""
    commands.prepare(folder, n_rows=2)
    shutil.make_archive(str(folder / "genres"), "tar", folder / "dataset")
    with mounted(folder / "disk", "size=16m") as disk:
        if disk is None:
            yield Outcome("full disk, commands", remark="not tried: this user may not mount a disk")
            return
        for number, case in enumerate(_CASES):
            until = time.monotonic() + (give_up - time.monotonic()) / (len(_CASES) - number)
            outcome = Outcome(case.name)
            for n, free_kib in enumerate(_FREE_KIB):
                if n < 1 or time.monotonic() < until:
                    _try(outcome, case, folder, disk, free_kib)
            yield outcome


def _try(outcome: Outcome, case: _Case, folder: Path, disk: Path, free_kib: int) -> None:
    room = folder / f"{case.command}-{case.on_disk}-{free_kib}"
    for left in disk.iterdir():
        shutil.rmtree(left)
    outcome.tried += 1
    if case.command == "report":
        _run(["render", *_arguments("render", folder, disk / "output")[1:]], case, room, disk)
    _fill(disk / "filler", free_kib)
    code, said = _run(
        _arguments(case.command, folder, _place(case, "output", room, disk)), case, room, disk
    )
    outcome.wrong += len([path for path in disk.rglob(".tmp-*") if path.is_file()])
    (disk / "filler").unlink()
    (room / "log").replace(room / "log-full")
    if code == 0:
        outcome.survived += 1
    elif problem := _problem(code, said, disk):
        outcome.remark = f"{free_kib} KiB free: {problem}"
    else:
        outcome.refused += 1
    code, said = _run(
        _arguments(case.command, folder, _place(case, "output", room, disk)), case, room, disk
    )
    if code:
        outcome.lost += 1
        outcome.remark = f"with room again: exit code {code}: {said.splitlines()[-1:]}"


def _arguments(command: str, folder: Path, output: Path) -> list[str]:
    if command == "transfer":
        sounds = [str(folder / "rain.wav"), str(folder / "song.wav")]
        return ["transfer", *sounds, "-o", str(output / "a.wav")]
    if command == "train":
        return commands.train(folder / "genres.tar", output)
    if command == "report":
        return ["report", str(output), "--pictures"]
    if command == "serve":
        return ["serve", "--port", "4297"]
    return commands.render(folder, output)


def _place(case: _Case, name: str, room: Path, disk: Path) -> Path:
    return (disk if case.on_disk == name else room) / name


def _run(arguments: list[str], case: _Case, room: Path, disk: Path) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    room.mkdir(exist_ok=True)
    log = room / "log"
    log.write_bytes(b"")
    places = {name: _place(case, name, room, disk) for name in ("store", "scratch", "home")}
    process = commands.start(arguments, log, **places)
    give_up = time.monotonic() + _END_S
    while process.poll() is None and time.monotonic() < give_up:
        if arguments[0] == "serve" and "UI: " in log.read_text():
            break
        time.sleep(0.2)
    code = process.poll()
    if code is None:
        code = commands.stopped(process, signal.SIGTERM, 60)
    return -1 if code is None else code, log.read_text()


def _fill(filler: Path, free_kib: int) -> None:
    with filler.open("wb") as stream, suppress(OSError):
        while True:
            os.write(stream.fileno(), bytes(1 << 12))
    kept = max(filler.stat().st_size - (free_kib << 10), 0)
    os.truncate(filler, kept)


def _problem(code: int, said: str, disk: Path) -> str:
    """Return what is wrong with a refusal: a line must name the place, and have a code or a row."""
    if "Traceback" in said:
        return f"a traceback: {said.splitlines()[-1:]}"
    found = _REFUSED.findall(said) + _ROW_FAILED.findall(said)
    if any(str(disk) in line for line in found):
        return ""
    return f"exit code {code}: {found or said.splitlines()[-2:]}"
