"""The commands as processes of their own, and small inputs for them."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import AMBIENCES, GENRES, ambience, music_piece
from tests.small_classifier import save_small_classifier

SR = 22_050
Process: TypeAlias = "subprocess.Popen[bytes]"
_MAIN = "from flows.cli.command import main; main()"
_KEPT = ("PATH", "HOME", "PYTHONPATH", "LANG", "TMPDIR", "VIRTUAL_ENV", "TF_CPP_MIN_LOG_LEVEL")


def prepare(folder: Path, *, n_rows: int) -> None:
    """Make a manifest with its sounds, a classifier, and a dataset of two genres."""
    for kind in AMBIENCES[:2]:
        write_audio(folder / f"{kind}.wav", ambience(kind, 2.0, seed=1), SR, format="wav")
    write_audio(folder / "song.wav", music_piece("folk", 3.0, seed=1), SR, format="wav")
    rows = [f"r{n},{AMBIENCES[n % 2]}.wav,song.wav,{n},noise" for n in range(n_rows)]
    lines = ["id,ambience,music,seed,note", *rows, ""]
    (folder / "manifest.csv").write_text("\n".join(lines))
    (folder / "model").mkdir()
    save_small_classifier(folder / "model", seed=3, standardised=True)
    for genre in GENRES[:2]:
        (folder / "dataset" / genre).mkdir(parents=True)
        for n in range(4):
            y = music_piece(genre, 4.0, seed=n)
            write_audio(folder / "dataset" / genre / f"{n}.wav", y, SR, format="wav")


def render(folder: Path, output: Path) -> list[str]:
    """Return the arguments that render the manifest of a folder."""
    return [
        *("render", str(folder / "manifest.csv")),
        *("--output", str(output), "--model", str(folder / "model")),
    ]


def train(dataset: Path, output: Path) -> list[str]:
    """Return the arguments that train on a dataset."""
    return ["train", str(dataset), "--output", str(output), "--epochs", "2", "--batch-size", "4"]


def start(
    arguments: Sequence[str], log: Path, *, store: Path, scratch: Path, home: Path
) -> Process:
    """Start a command, whose stdout and stderr are appended to a log."""
    environment = {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "AMNST_STORE_URI": str(store),
        "AMNST_SCRATCH": str(scratch),
        "PREFECT_HOME": str(home),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", _MAIN, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )


def stopped(process: Process, number: signal.Signals, end_s: float) -> int | None:
    """Send a signal; return the exit code, or None for a command that does not end in time."""
    process.send_signal(number)
    try:
        return process.wait(end_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def processes_of(folder: Path) -> set[int]:
    """Return the processes whose environment or command names a folder."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            text = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in text and int(place.name) != os.getpid():
            found.add(int(place.name))
    return found
