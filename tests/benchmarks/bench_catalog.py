"""Large catalogues: rows planned, a shard opened, rows checked, finished rows recognised."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

N_PLANNED, N_FINISHED, N_SMALL = 100_000, 10_000, 2_000
N_CHECKED, N_SOUNDS = 10_000, 300

PLAN = """
import json, resource, sys, time
from flows.requests import RenderRequest; from flows.catalog import open_catalog
from flows.settings import Settings

def memory_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6

before, started = memory_mb(), time.perf_counter()
request = RenderRequest(manifest=sys.argv[1], output=sys.argv[2])
workspace = Settings().workspace()
catalog = open_catalog(request, workspace)
shards = [shard for shard, _ in catalog.shards("run")]
seconds = time.perf_counter() - started
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps({
    "rows": len(catalog.rows), "shards": len(shards), "seconds": seconds,
    "peak_mb": peak_mb, "bytes_per_row": 1e6 * (memory_mb() - before) / len(catalog.rows),
}))
catalog.hand_rows(shards[0], workspace)
open(sys.argv[3], "w").write(shards[0].model_dump_json())
"""

SHARD = """
import json, resource, sys, time
from pathlib import Path
from flows.render_shard import _opened
from flows.settings import Settings
from flows.shards import Shard

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

before, started = peak_mb(), time.perf_counter()
batch = _opened(Shard.model_validate_json(Path(sys.argv[1]).read_text()), Settings().workspace())
print(json.dumps({
    "rows": len(batch.rows), "seconds": time.perf_counter() - started,
    "peak_mb": peak_mb(), "more_mb": peak_mb() - before,
}))
"""

CHECK = """
import json, os, resource, sys, time
from flows.cli.command import main

started = time.perf_counter()
try:
    main(["check", sys.argv[1], "--output", sys.argv[2]])
except SystemExit as end:
    assert not end.code, end.code
from nst_core.decoding.isolation import end_decoders
end_decoders()
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    "seconds": time.perf_counter() - started,
    "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in used),
}))
"""

BUILD = """
import os, sys
from pathlib import Path
os.fsync = lambda descriptor: None  # nobody needs these files after a crash
from flows.requests import RenderRequest; from flows.catalog import open_catalog
from flows.settings import Settings
from tasks.jobs.from_rows import inputs_of, plan_job
from tasks.jobs.identities import identify_inputs
from tasks.upload import upload_pair

workspace = Settings().workspace()
catalog = open_catalog(RenderRequest(manifest=sys.argv[1], output=sys.argv[2]), workspace)
identities = identify_inputs(inputs_of(catalog.rows), workspace.scratch)
defaults, artefact = catalog.defaults(), Path(workspace.scratch) / "made"
for number, row in enumerate(catalog.rows):
    job = plan_job(row, identities, defaults)
    artefact.write_bytes(b"%08d" % number * 1000)
    levels = {"music_lufs": -20.0, "loudness_lufs": -20.0, "ambience_lufs": -20.0}
    figures = {"content": 0.7, "texture": 0.9, "carrier_db": 4.0, "follow": 0.5}
    facts = {"seconds": 1.0, "duration_s": 1.0, "verdict": "as meant", **levels, **figures}
    workspace.store.commit("audio", job.audio.key, artefact, "wav", facts)
    workspace.store.commit("transfer", job.transfer.key, artefact, "npz", {"seconds": 1.0})
    upload_pair(job, workspace)
"""

RENDER = """
import json, resource, sys, time
from flows.server.environment import prepare_prefect
prepare_prefect(verbose=False)
from flows.cli.own_server import own_server
own_server(verbose=False)()
from flows.requests import RenderRequest
from flows.render_catalog import render_catalog

started, cpu_started = time.perf_counter(), time.process_time()
state = render_catalog(
    RenderRequest(manifest=sys.argv[1], output=sys.argv[2]), return_state=True
)
print(json.dumps({
    "message": state.message,
    "seconds": time.perf_counter() - started,
    "cpu_seconds": time.process_time() - cpu_started,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
}))
"""


def run(data: Path) -> dict:
    with tempfile.TemporaryDirectory(prefix="bench-catalog-") as name:
        folder = Path(name)
        large = _manifest(folder / "large.csv", N_PLANNED, "music/{}.flac")
        plan = _run(folder, PLAN, large, folder / "out", folder / "shard.json")
        print(
            f"{plan['rows']:,} rows read, checked and cut into {plan['shards']:,} shards in "
            f"{plan['seconds']:.1f} s; peak {plan['peak_mb']:.0f} MB, "
            f"{plan['bytes_per_row']:.0f} bytes a row",
            flush=True,
        )
        shard = _run(folder, SHARD, folder / "shard.json")
        print(
            f"a shard of {shard['rows']} of these rows is opened in {shard['seconds']:.2f} s and "
            f"{shard['more_mb']:.0f} MB beyond the process's {shard['peak_mb']:.0f} MB",
            flush=True,
        )
        check = _run(folder, CHECK, _sounds(folder / "sounds"), folder / "out")
        print(
            f"{N_CHECKED:,} rows of {N_SOUNDS} sounds checked with their headers in "
            f"{check['seconds']:.1f} s, {check['cpu_seconds']:.1f} of CPU",
            flush=True,
        )
        for number in range(int(N_FINISHED**0.5) + 1):
            (folder / f"{number}.wav").write_bytes(b"%d" % number)
        finished = _manifest(folder / "finished.csv", N_FINISHED, "{}.wav")
        _run(folder, BUILD, finished, folder / "out")
        small = _manifest(folder / "small.csv", N_FINISHED, "{}.wav", stop=N_SMALL)
        few = _run(folder, RENDER, small, folder / "out")
        again = _run(folder, RENDER, finished, folder / "out")
        growth = 1e6 * (again["peak_mb"] - few["peak_mb"]) / (N_FINISHED - N_SMALL)
        again["bytes_per_row"] = growth
        print(
            f"a finished catalogue of {N_FINISHED:,} rows is recognised in "
            f"{again['seconds']:.1f} s, {again['cpu_seconds']:.1f} of CPU ({again['message']}); "
            f"peak {again['peak_mb']:.0f} MB, which grows by {growth:.0f} bytes a row from "
            f"{N_SMALL:,} rows on"
        )
    return {"plan": plan, "shard": shard, "check": check, "finished": again}


def _sounds(folder: Path) -> Path:
    """Write sounds of a minute in three formats, and a manifest that pairs them."""
    folder.mkdir()
    y = 0.1 * np.random.default_rng(0).standard_normal((60 * 22_050, 2))
    names = [f"{number}.{('wav', 'flac', 'mp3')[number % 3]}" for number in range(N_SOUNDS)]
    for first in names[:3]:
        sf.write(folder / first, y, 22_050)
    for number, name in enumerate(names[3:], start=3):
        os.link(folder / names[number % 3], folder / name)
    rows = (
        f"row-{n:05d},{names[n % 100]},{names[(n + n // 100) % N_SOUNDS]}\n"
        for n in range(N_CHECKED)
    )
    (folder / "manifest.csv").write_text("id,ambience,music\n" + "".join(rows), "utf-8")
    return folder / "manifest.csv"


def _manifest(path: Path, n_rows: int, music: str, *, stop: int | None = None) -> Path:
    """Write a cross product of at most this many rows."""
    side, numbers = int(n_rows**0.5) + 1, range(stop or n_rows)
    rows = (f"row-{n:06d},{n % side}.wav,{music.format(n // side)}\n" for n in numbers)
    path.write_text("id,ambience,music\n" + "".join(rows), "utf-8")
    return path


def _run(folder: Path, program: str, *arguments: object) -> dict:
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "AMNST_STORE_URI": str(folder / "store"),
        "AMNST_SCRATCH": str(folder / "scratch"),
        "AMNST_SHARD_DEPLOYMENT": "render-shard/render-rows",  # nobody serves it
    }
    (folder / "scratch").mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
