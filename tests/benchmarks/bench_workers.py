"""Pairs per minute on several workers, and the cost of the orchestration itself."""

import csv
import os
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate

from tests.benchmarks.waiting import WAIT_S
from tests.e2e.cluster import Cluster, descendants
from tests.e2e.installation import installed
from tests.servers import POSTGRES, REDIS

N_REAL, N_WAITING, N_WAITERS = 40, 200, 4
BARE_TASKS = (2, 1, 0)
"""Task runs per pair of Prefect alone; ours has two."""
IDLE_S = 30.0
LOOK_S = 5.0
"""Interval at which `amnst submit --wait` asks for the state of its run."""
AS_SHIPPED = {"PREFECT_WORKER_QUERY_SECONDS": "10"}
"""Prefect's default interval, which tests shorten."""
ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


def run(data: Path) -> dict:
    one, two = _scaling(data, 1), _scaling(data, 2)
    print(
        f"{N_REAL} real pairs: {one:.1f} pairs a minute on one worker with a core of its own, "
        f"{two:.1f} on two: {two / one:.2f} times as many",
        flush=True,
    )
    overheads = {"SQLite": _overhead_on_sqlite()}
    if POSTGRES.is_file() and REDIS.is_file():
        overheads["PostgreSQL and Redis"] = _overhead_on_postgres()
    for name, figures in overheads.items():
        own = figures["own_ms"]
        print(
            f"{N_WAITING} waits of {WAIT_S:g} s on {N_WAITERS} workers, {name}: "
            f"{100 * figures['share']:.0f} % of the ideal throughput, "
            f"{figures['server_cpu_ms']:.1f} ms of server CPU a pair: {own:.1f} ms "
            f"for the pairs and their {N_WAITERS + 1} flow runs, {figures['idle_ms']:.1f} ms that "
            f"the server takes anyway ({figures['idle_ms_per_s']:.0f} ms a second with "
            f"{N_WAITERS + 1} workers that ask for work)"
        )
        for n_tasks, bare in figures["bare"].items():
            print(
                f"  Prefect alone, in as many flow runs, {n_tasks} task runs a pair: "
                f"{bare['server_cpu_ms']:.1f} ms, {bare['own_ms']:.1f} of them its own: ours is "
                f"{own / bare['own_ms']:.2f} times that"
            )
    return {"one": one, "two": two, "ratio": two / one, "overhead": overheads}


def _scaling(data: Path, n_workers: int) -> float:
    """Return the pairs per minute between the first and the last pair."""
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as name:
        cluster = Cluster(Path(name), environment=AS_SHIPPED)
        try:
            cluster.begin()
            for core in range(n_workers):
                cluster.start_worker(f"core{core}", core=core)
            manifest = cluster.folder / "manifest.csv"
            manifest.write_text(_real_pairs(data), "utf-8")
            output = cluster.folder / "output"
            options = ("--shard-size", N_REAL // n_workers, "--input-root", data)
            run_id = cluster.submit(manifest, output, *options)
            run = cluster.wait(run_id, timeout_s=900, poll_s=LOOK_S)
            assert run.state.is_completed(), run.state.message
            return 60 * _throughput(output, n_workers)
        finally:
            cluster.stop()


def _real_pairs(data: Path) -> str:
    ambiences = sorted((data / "ambience").glob("*.ogg"))[:8]
    musics = sorted((data / "music").glob("*.ogg"))[:5]
    rows = [f"ambience/{a.name},music/{m.name},10" for m in musics for a in ambiences]
    return "\n".join(["ambience,music,duration_s", *rows, ""])


def _throughput(output: Path, n_workers: int) -> float:
    """Return the pairs per second, without the first pair of each worker."""
    with (output / "results.csv").open(newline="", encoding="utf-8") as stream:
        ended = sorted(datetime.fromisoformat(row["ended_at"]) for row in csv.DictReader(stream))
    return (len(ended) - n_workers) / (ended[-1] - ended[n_workers - 1]).total_seconds()


def _overhead_on_sqlite() -> dict:
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as name:
        cluster = Cluster(Path(name), environment={"PYTHONPATH": _path(), **AS_SHIPPED})
        try:
            cluster.begin()
            return _overhead(cluster)
        finally:
            cluster.stop()


def _overhead_on_postgres() -> dict:
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as name:
        os.environ["PYTHONPATH"] = _path()
        with installed(Path(name), environment=AS_SHIPPED) as cluster:
            return _overhead(cluster)


def _path() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)


def _overhead(cluster: Cluster) -> dict:
    _let_wait(cluster)
    for number in range(N_WAITERS):
        cluster.start_worker(f"waiter{number}")
    idle_share = _idle_share(cluster)
    output = cluster.folder / "output"
    ours = _cost(cluster, idle_share, lambda: _wait_in_shards(cluster, output))
    bare = {
        n: _cost(cluster, idle_share, partial(_wait_without_us, cluster, n)) for n in BARE_TASKS
    }
    return {
        "share": _throughput(output, N_WAITERS) / (N_WAITERS / WAIT_S),
        **ours,
        "idle_ms_per_s": 1e3 * idle_share,
        "bare": bare,
    }


def _cost(cluster: Cluster, idle_share: float, work: Callable[[], None]) -> dict:
    """Return the milliseconds of server CPU per pair: total, for the pairs, and idle share."""
    before, started = _cpu_s(cluster), time.monotonic()
    work()
    cpu_s, idle_s = _cpu_s(cluster) - before, idle_share * (time.monotonic() - started)
    return {
        "server_cpu_ms": 1e3 * cpu_s / N_WAITING,
        "own_ms": 1e3 * (cpu_s - idle_s) / N_WAITING,
        "idle_ms": 1e3 * idle_s / N_WAITING,
    }


def _wait_in_shards(cluster: Cluster, output: Path) -> None:
    for number in range(N_WAITING // 10 + 10):
        (cluster.folder / f"{number}.wav").write_bytes(b"%d" % number)
    rows = [f"{n % 10}.wav,{10 + n // 10}.wav" for n in range(N_WAITING)]
    manifest = cluster.folder / "manifest.csv"
    manifest.write_text("\n".join(["ambience,music", *rows, ""]), "utf-8")
    options = ("--shard-size", N_WAITING // N_WAITERS)
    run = cluster.wait(cluster.submit(manifest, output, *options), timeout_s=600, poll_s=LOOK_S)
    assert run.state.is_completed(), run.state.message


def _wait_without_us(cluster: Cluster, n_tasks: int) -> None:
    """Wait as often in as many flow runs of Prefect alone, with the same settings."""
    size = N_WAITING // N_WAITERS
    with (
        cluster.logged_in(),
        get_client(sync_client=True) as client,
    ):
        ours = client.read_deployment_by_name("render-shard/render-rows")
        client.create_deployment(
            client.create_flow_from_name("bare"),
            "gpu",
            entrypoint="tests.benchmarks.bare.bare",
            work_pool_name="gpu",
            job_variables=ours.job_variables,
            pull_steps=[],
        )
    runs = [
        cluster.start(
            "bare/gpu",
            {"first": at, "stop": at + size, "wait_s": WAIT_S, "n_tasks": n_tasks},
            name=f"bare-{n_tasks}-{at}",
        )
        for at in range(0, N_WAITING, size)
    ]
    for each in runs:
        run = cluster.wait(each, timeout_s=600, poll_s=LOOK_S)
        assert run.state.is_completed(), run.state.message


def _idle_share(cluster: Cluster) -> float:
    """Return the CPU seconds per second of a server whose workers are connected but idle."""
    time.sleep(20)  # until they are
    before = _cpu_s(cluster)
    time.sleep(IDLE_S)
    return (_cpu_s(cluster) - before) / IDLE_S


def _let_wait(cluster: Cluster) -> None:
    with (
        cluster.logged_in(),
        get_client(sync_client=True) as client,
    ):
        found = client.read_deployment_by_name("render-shard/render-rows")
        change = DeploymentUpdate(entrypoint="tests.benchmarks.waiting.render_shard")
        client.update_deployment(found.id, change)


def _cpu_s(cluster: Cluster) -> float:
    """Return the CPU seconds of the server and its children so far."""
    fields = [
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        for pid in descendants(cluster.processes["server"].pid)
    ]
    return sum(int(each[11]) + int(each[12]) for each in fields) / _TICKS
