"""`amnst worker`: what a worker process is started with."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

from nst_core import __version__

PoolName: TypeAlias = Literal["control", "gpu"]

_LIMITS = {"control": 8, "gpu": 1}
"""A catalogue only waits for its shards; a shard takes a device for itself."""

_NAME = re.compile(r"(?P<host>.+)-(?:control|gpu).*-(?P<version>\d[^-]*)")


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker of this machine.

    Attributes
    ----------
    pool
        The work pool it takes runs from.
    device
        The one GPU its runs see, as CUDA counts; None leaves that to the environment.
    slot
        Tells workers of one pool without a device apart.
    name
        By default the machine, the place in it and this version: the doctor reads it.
    threads
        Of one operation; None leaves that to the environment.
    limit
        Runs at a time; by default 1 on the pool gpu.
    """

    pool: PoolName
    device: str | None = None
    slot: str = ""
    name: str | None = None
    threads: int | None = None
    limit: int | None = None

    @property
    def full_name(self) -> str:
        """The name that the server knows it by."""
        place = f"{self.pool}{self.device if self.device is not None else self.slot}"
        return self.name or f"{platform.node() or 'localhost'}-{place}-{__version__}"

    def command(self) -> list[str]:
        """The program and its arguments."""
        return [
            *(sys.executable, "-m", "deployments.worker_process", "worker", "start"),
            *("--pool", self.pool, "--name", self.full_name),
            *("--limit", str(self.limit or _LIMITS[self.pool])),
            # The pool is made by `amnst deploy`, with a type; no package is installed on the way.
            *("--no-create-pool-if-not-found", "--install-policy", "never"),
        ]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The inherited environment with what a worker adds; deployments carry the rest."""
        ours = {
            # Prefect's default offers the health page to the whole network.
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            # Unbounded by default: while the server is away, events would fill the memory.
            "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "10000",
            # A server whose database restarts answers 500 for some seconds.
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
            # On a terminal Prefect counts a first use, and says so.
            "DO_NOT_TRACK": "1",
            # Half a gigabyte less for a piece of four minutes: nst_core/memory.py.
            "MALLOC_ARENA_MAX": "2",
        }
        return {**ours, **inherited, **self._device(), **self._threads()}

    def _device(self) -> dict[str, str]:
        if self.pool == "control":
            return {"CUDA_VISIBLE_DEVICES": ""}  # a catalogue computes nothing
        return {} if self.device is None else {"CUDA_VISIBLE_DEVICES": self.device}

    def _threads(self) -> dict[str, str]:
        return {} if self.threads is None else {"AMNST_N_THREADS": str(self.threads)}


def host_and_version(name: str) -> tuple[str, str] | None:
    """What the name of a worker says, if `amnst worker` gave it."""
    found = _NAME.fullmatch(name)
    return (found["host"], found["version"]) if found else None


def become(worker: Worker) -> NoReturn:
    """Turn this process into the worker: signals then reach Prefect itself."""
    os.execve(sys.executable, worker.command(), worker.environment(os.environ))  # noqa: S606
