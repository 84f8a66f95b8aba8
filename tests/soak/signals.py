"""Ctrl-C, SIGTERM, SIGHUP and SIGKILL at random moments of a render; the same command goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import AMBIENCES, ambience, music_piece
from tests.small_classifier import save_small_classifier
from tests.soak.table import Outcome

SR = 22_050
_CODES = {signal.SIGINT: {130}, signal.SIGTERM: {143}, signal.SIGHUP: {129}, signal.SIGKILL: {-9}}
_END_S = 180
_MAIN = "from flows.cli.command import main; main()"


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Interrupt a render again and again until it is complete, then begin anew."""
    _prepare(folder)
    outcomes = {number: Outcome(f"render, {number.name}") for number in _CODES}
    chance, sums, n = random.Random(1), dict[str, bytes](), 0
    while time.monotonic() < give_up:
        output, n = folder / f"out{n}", n + 1
        for _ in range(4):
            number = chance.choice(list(_CODES))
            _interrupt(outcomes[number], number, folder, output, chance.uniform(0.5, 25), sums)
        ended = _command(folder, output)
        last = outcomes[number]
        if ended.wait(10 * _END_S):
            last.lost += 1
            last.remark = f"the same command did not go on: exit code {ended.returncode}"
        _compare(last, output, sums)
        if orphans := _processes(folder):
            last.wrong += 1
            last.remark = f"orphans: {orphans}"
    yield from outcomes.values()


def _prepare(folder: Path) -> None:
    for kind in AMBIENCES[:2]:
        write_audio(folder / f"{kind}.wav", ambience(kind, 2.0, seed=1), SR, format="wav")
    write_audio(folder / "song.wav", music_piece("folk", 3.0, seed=1), SR, format="wav")
    rows = [f"r{n},{AMBIENCES[n % 2]}.wav,song.wav,{n},noise" for n in range(6)]
    lines = ["id,ambience,music,seed,note", *rows, ""]
    (folder / "manifest.csv").write_text("\n".join(lines))
    (folder / "model").mkdir()
    save_small_classifier(folder / "model", seed=3, standardised=True)


def _command(folder: Path, output: Path) -> "subprocess.Popen[bytes]":
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "AMNST_STORE_URI": f"{output}-store",
        "AMNST_SCRATCH": str(folder / "scratch"),
        "PREFECT_HOME": str(folder / "prefect"),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    options = ["--output", str(output), "--model", str(folder / "model")]
    return subprocess.Popen(
        [sys.executable, "-c", _MAIN, "render", str(folder / "manifest.csv"), *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("ab"),
    )


def _interrupt(
    outcome: Outcome,
    number: signal.Signals,
    folder: Path,
    output: Path,
    after_s: float,
    sums: dict[str, bytes],
) -> None:
    outcome.tried += 1
    process = _command(folder, output)
    time.sleep(after_s)
    process.send_signal(number)
    try:
        code = process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        outcome.remark = f"it did not end within {_END_S} s of the signal"
        return
    if code in _CODES[number] | {0, -number}:  # -2 and -15: before Python could listen
        outcome.survived += 1
    else:
        last = (folder / "log").read_text("utf-8", "replace").strip().splitlines()[-1:]
        outcome.remark = f"exit code {code} after {after_s:.1f} s: {last}"
    _compare(outcome, output, sums)
    if number != signal.SIGKILL:
        places = (output, Path(f"{output}-store"))
        outcome.wrong += sum(len(list(place.rglob(".tmp-*"))) for place in places)


def _compare(outcome: Outcome, output: Path, sums: dict[str, bytes]) -> None:
    for path in output.glob("*.wav"):
        outcome.wrong += sums.setdefault(path.name, path.read_bytes()) != path.read_bytes()


def _processes(folder: Path) -> list[str]:
    """Return the processes whose environment or command names the folder of this attack."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            text = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in text and int(place.name) != os.getpid():
            found.append(place.name)
    return found
