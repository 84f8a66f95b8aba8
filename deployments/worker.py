"""`amnst worker`: command and environment of a worker process."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

from deployments.passed_on import passed_on
from nst_core import __version__

PoolName: TypeAlias = Literal["control", "gpu"]

_LIMITS = {"control": 8, "gpu": 1}
"""Runs at a time: a catalogue only waits for its shards, but a shard needs a whole device."""

_NAME = re.compile(r"(?P<host>.+)-(?:control|gpu).*-(?P<version>\d[^-]*)")


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker on this machine.

    Attributes
    ----------
    pool
        Work pool whose runs it takes.
    device
        CUDA number of the only GPU that its runs see; if None, the environment decides.
    slot
        Suffix that distinguishes workers of a pool without a device.
    name
        By default the machine, the pool with device or slot, and this version, for the doctor.
    threads
        Threads per operation; if None, the environment decides.
    limit
        Maximum number of runs at a time; by default 1 on the pool gpu.
    """

    pool: PoolName
    device: str | None = None
    slot: str = ""
    name: str | None = None
    threads: int | None = None
    limit: int | None = None

    @property
    def full_name(self) -> str:
        """Name of the worker on the server."""
        place = f"{self.pool}{self.device if self.device is not None else self.slot}"
        return self.name or f"{platform.node() or 'localhost'}-{place}-{__version__}"

    def command(self, *, end_with_stdin: bool = False) -> list[str]:
        """Return the program and its arguments.

        Parameters
        ----------
        end_with_stdin
            End the worker when its stdin is closed, that is, with the process that started it.
        """
        return [
            # -P keeps Python from running a folder `deployments` in the current folder.
            *(sys.executable, "-P", "-m", "deployments.worker_process"),
            *(("--end-with-stdin",) if end_with_stdin else ()),
            *("worker", "start"),
            *("--pool", self.pool, "--name", self.full_name),
            *("--limit", str(self.limit or _LIMITS[self.pool])),
            # `amnst deploy` creates the pool, with a type; do not install packages at the start.
            *("--no-create-pool-if-not-found", "--install-policy", "never"),
        ]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the inherited variables that runs need, and those that a worker adds.

        Deployments contain the others.
        """
        ours = {
            # By default Prefect offers the health page to the whole network.
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            # By default unlimited: while the server is unreachable, events would fill the memory.
            "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "10000",
            # While its database restarts, a server answers 500 for some seconds.
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
            # Otherwise Prefect reports the first use on a terminal, and prints a notice.
            "DO_NOT_TRACK": "1",
            # Saves half a gigabyte for a piece of four minutes: see nst_core/runtime/memory.py.
            "MALLOC_ARENA_MAX": "2",
        }
        return {**ours, **passed_on(inherited), **self._device(), **self._threads()}

    def _device(self) -> dict[str, str]:
        if self.pool == "control":
            return {"CUDA_VISIBLE_DEVICES": ""}  # a catalogue computes nothing
        return {} if self.device is None else {"CUDA_VISIBLE_DEVICES": self.device}

    def _threads(self) -> dict[str, str]:
        return {} if self.threads is None else {"AMNST_N_THREADS": str(self.threads)}


def host_and_version(name: str) -> tuple[str, str] | None:
    """Return host and version in a worker's name; None if `amnst worker` did not make the name."""
    found = _NAME.fullmatch(name)
    return (found["host"], found["version"]) if found else None


def become(worker: Worker, environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the worker, so that signals reach Prefect itself."""
    os.execve(sys.executable, worker.command(), worker.environment(environment))  # noqa: S606
