"""The command from a cold start: nine pairs, a long piece, a longer one; time, memory, bytes."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile as sf

AMBIENCES = ("rain", "waves", "fireplace")
MUSIC = ("guitar", "strings", "vocal_pop")
LONG_PIECE, TIMES = "piano", 7


def run(data: Path) -> dict:
    with tempfile.TemporaryDirectory(prefix="bench-render-") as name:
        folder = Path(name)
        nine = folder / "nine.csv"
        pairs = [f"ambience/{a}.ogg,music/{m}.ogg" for a in AMBIENCES for m in MUSIC]
        nine.write_text("\n".join(["ambience,music", *pairs, ""]), "utf-8")
        _render(data, nine, folder / "server", "warms the server's database")
        cold = _render(data, nine, folder / "first", "nine pairs, cold")
        again = _render(data, nine, folder / "first", "the same, all cached")
        other = _render(data, nine, folder / "second", "the same from scratch")
        identical = [row["sha256"] for row in cold["rows"]] == [
            row["sha256"] for row in other["rows"]
        ]
        print(f"bytes of the two runs identical: {identical}")
        long = folder / "long.csv"
        long.write_text(f"ambience,music\nambience/rain.ogg,music/{LONG_PIECE}.ogg\n", "utf-8")
        piece = _render(data, long, folder / "long", f"{LONG_PIECE}, 236 s")
        longer = folder / "input"
        _repeat(data, longer)
        long.write_text(f"ambience,music\nrain.ogg,{LONG_PIECE}.flac\n", "utf-8")
        title = f"{LONG_PIECE} {TIMES} times, {236 * TIMES} s"
        repeated = _render(longer, long, folder / "longer", title)
    found = {"cold": cold, "cached": again, "identical": identical}
    return found | {"long": piece, "longer": repeated}


def _repeat(data: Path, folder: Path) -> None:
    """Write the long piece repeated, and the rain, as inputs of their own."""
    folder.mkdir()
    shutil.copy(data / "ambience" / "rain.ogg", folder)
    y, sr = sf.read(data / "music" / f"{LONG_PIECE}.ogg", dtype="float32")
    with sf.SoundFile(folder / f"{LONG_PIECE}.flac", "w", sr, y.shape[1]) as sound:
        for _ in range(TIMES):
            sound.write(y)


def _render(data: Path, manifest: Path, folder: Path, title: str) -> dict:
    environment = {
        **os.environ,
        "AMNST_STORE_URI": str(folder / "store"),
        "PREFECT_HOME": str(manifest.parent / "prefect"),
    }
    command = ["render", str(manifest), "--output", str(folder / "out"), "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        [Path(sys.executable).with_name("amnst"), *command, "--input-root", str(data)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    stages = _seconds_per_stage(folder / "store")
    listed = ", ".join(f"{stage} {value:.1f} s" for stage, value in stages.items())
    print(
        f"{title}: {seconds:.1f} s in all, {len(rows)} pairs; made so far: {listed}; "
        f"peak memory of any process so far {peak_gb:.2f} GB",
        flush=True,
    )
    kept = ("id", "sha256", "content", "texture", "carrier_db", "follow", "onset_f1")
    figures = [{name: row[name] for name in kept} for row in rows]
    return {"seconds": seconds, "stages": stages, "peak_gb": peak_gb, "rows": figures}


def _seconds_per_stage(store: Path) -> dict[str, float]:
    """Sum the seconds in a store's records; stages of different pairs run at the same time."""
    seconds: dict[str, float] = {}
    for path in sorted((store / "results").rglob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        stage = record["stage"]
        seconds[stage] = seconds.get(stage, 0.0) + record["meta"]["seconds"]
    return seconds
