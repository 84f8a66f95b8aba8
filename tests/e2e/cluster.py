"""A complete installation on this machine, of real processes: server, workers, deployments."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from deployments.server_environment import SERVER_ENVIRONMENT
from tests.servers import PATIENCE_S, free_ports

AMNST = Path(sys.executable).with_name("amnst")
LOGIN = "amnst:of-the-tests"
_OURS = ("PREFECT_", "AMNST_")


def until(met: Callable[[], Any], *, timeout_s: float, what: str, poll_s: float = 0.3) -> Any:
    """Wait for a true value of `met`, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (value := met()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(poll_s)
    return value


def descendants(pid: int) -> list[int]:
    """Return a process and all processes that it has started, directly or not."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


class Cluster:
    """A server, workers and what they start; `kill` ends a process with all its children."""

    def __init__(self, folder: Path, *, environment: dict[str, str] | None = None) -> None:
        self.folder, self.port = folder, free_ports(1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        self.environment = {
            **inherited,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_UI_URL": f"http://127.0.0.1:{self.port}",
            **SERVER_ENVIRONMENT,
            "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
            "PREFECT_API_AUTH_STRING": LOGIN,
            "PREFECT_WORKER_QUERY_SECONDS": "2",  # ten by default
            "AMNST_STORE_URI": str(folder / "store"),
            "AMNST_SCRATCH": str(folder / "scratch"),
            "AMNST_N_THREADS": "1",
            **(environment or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def api(self) -> str:
        return self.environment["PREFECT_API_URL"]

    @property
    def ui(self) -> str:
        return self.environment["PREFECT_UI_URL"]

    def logged_in(self) -> AbstractContextManager[Any]:
        """Use the settings of a client of the server."""
        return temporary_settings({PREFECT_API_URL: self.api, PREFECT_API_AUTH_STRING: LOGIN})

    def spawn(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        return self.processes[name]

    def start_server(self) -> None:
        python = (sys.executable, "-m", "flows.server_process.guarded")
        self.spawn("server", *python, "--host", "127.0.0.1", "--port", str(self.port))
        until(self._is_up, timeout_s=PATIENCE_S, what="the Prefect server")

    def begin(self) -> None:
        """The server, the deployments, and a worker for catalogues."""
        self.start_server()
        done = self.amnst("deploy")
        assert done.returncode == 0, done.stderr
        self.start_worker("control", "control")

    def _is_up(self) -> bool:
        assert self.processes["server"].poll() is None, self.log("server")
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def start_worker(
        self, name: str, pool: str = "gpu", *, core: int | None = None, **environment: str
    ) -> None:
        """Start a worker; if a core is named, it and its runs use only that core."""
        pinned = () if core is None else ("taskset", "--cpu-list", str(core))
        self.spawn(
            name, *pinned, str(AMNST), "worker", "--pool", pool, "--name", name, **environment
        )

    def kill(self, name: str) -> None:
        """Kill a process and all processes that it has started."""
        process = self.processes.pop(name)
        for pid in descendants(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(20)

    def stop(self) -> None:
        for name in reversed(list(self.processes)):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def amnst(
        self, *arguments: object, timeout_s: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [AMNST, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=self.folder,
        )

    def submit(self, manifest: Path, output: object, *options: object) -> str:
        done = self.amnst("submit", manifest, "--output", output, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, deployment: str, parameters: dict[str, Any], *, name: str) -> str:
        with self.logged_in():
            run = run_deployment(deployment, parameters=parameters, flow_run_name=name, timeout=0)
        return str(run.id)

    def run(self, run_id: str) -> FlowRun:
        with self.logged_in(), get_client(sync_client=True) as c:
            return c.read_flow_run(UUID(run_id))

    def runs(self, wanted: FlowRunFilter | None = None) -> list[FlowRun]:
        with self.logged_in(), get_client(sync_client=True) as c:
            return c.read_flow_runs(
                flow_run_filter=wanted, sort=FlowRunSort.START_TIME_ASC, limit=200
            )

    def shards(self, run_id: str) -> dict[str, FlowRun]:
        """Return the shard runs of a catalogue, by name."""
        parent = FlowRunFilterParentFlowRunId(any_=[UUID(run_id)])
        return {run.name: run for run in self.runs(FlowRunFilter(parent_flow_run_id=parent))}

    def wait(self, run_id: str, *, timeout_s: float = PATIENCE_S, poll_s: float = 0.3) -> FlowRun:
        def final() -> FlowRun | None:
            try:
                run = self.run(run_id)
            except httpx.TransportError:  # a test has ended the server
                return None
            return run if run.state and run.state.is_final() else None

        what = f"the end of flow run {run_id}"
        return until(final, timeout_s=timeout_s, what=what, poll_s=poll_s)

    def records(self, stage: str) -> dict[str, int]:
        """Return the time at which each result of a stage was made."""
        folder = Path(self.environment["AMNST_STORE_URI"]) / "results" / stage
        return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def report(output: Path) -> dict[str, dict[str, str]]:
    with (output / "results.csv").open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def delivered(output: Path) -> dict[str, str]:
    """Return the sha256 in each output's provenance."""
    return {
        path.name.removesuffix(".json"): json.loads(path.read_text())["sha256"]
        for path in output.glob("*.json")
    }
