"""New processes of the commands, with a warm disk: CPU and wall time until their end."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile as sf

REPEATS = 5
MUSIC_S, AMBIENCE_S = 3, 6
PEER = "import numpy, scipy.signal, numba"
COMMAND = "from flows.cli.command import main; main()"
NOWHERE = "http://127.0.0.1:9/api"
"""No server: `submit` ends when it has found this out; `wait` would wait for it."""


def run(data: Path) -> dict:
    with tempfile.TemporaryDirectory(prefix="bench-start-") as name:
        folder = Path(name)
        _cut(data / "music" / "guitar.ogg", folder / "music.wav", MUSIC_S)
        _cut(data / "ambience" / "rain.ogg", folder / "ambience.wav", AMBIENCE_S)
        (folder / "manifest.csv").write_text("ambience,music\nambience.wav,music.wav\n", "utf-8")
        rows = {
            f"python -c '{PEER}'": (["-c", PEER], 0, {}),
            "transfer": _command("transfer", "ambience.wav", "music.wav", "-o", "out.wav"),
            "plan": _command("plan", "--ambience", "ambience.wav", "--music", "music.wav"),
            "check": _command("check", "manifest.csv"),
            "render, all finished": _command("render", "manifest.csv", "--output", "out"),
            "submit, no server": _command(
                "submit", "manifest.csv", "--output", "out", code=2, url=NOWHERE
            ),
            "wait, a wrong id": _command("wait", "nobody", code=2, url=NOWHERE),
        }  # fmt: skip
        print("| command | CPU s | wall s | CPU of the peer |\n|---|---|---|---|")
        found: dict[str, dict[str, float]] = {}
        for title, each in rows.items():
            _measure(folder, *each)  # compiles, renders, makes the server's database
            times = [_measure(folder, *each) for _ in range(REPEATS)]
            cpu_s, wall_s = (min(column) for column in zip(*times, strict=True))
            found[title] = {"cpu_s": cpu_s, "wall_s": wall_s}
            ratio = cpu_s / next(iter(found.values()))["cpu_s"]
            print(f"| {title} | {cpu_s:.2f} | {wall_s:.2f} | {ratio:.2f} |", flush=True)
    return found


def _cut(source: Path, target: Path, seconds: float) -> None:
    y, sr = sf.read(source, dtype="float32")
    sf.write(target, y[: round(seconds * sr)], sr)


def _command(*arguments: str, code: int = 0, url: str = "") -> tuple[list[str], int, dict]:
    return ["-c", COMMAND, *arguments], code, {"PREFECT_API_URL": url} if url else {}


def _measure(folder: Path, arguments: list[str], code: int, more: dict) -> tuple[float, float]:
    """Return the CPU and wall seconds of a new process and of its own processes."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd())),
        "AMNST_STORE_URI": str(folder / "store"),
        "PREFECT_HOME": str(folder / "prefect"),
        **more,
    }
    before, started = _cpu_s(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wall_s = time.perf_counter() - started
    assert done.returncode == code, (arguments, done.returncode, done.stderr)
    return _cpu_s() - before, wall_s


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
