"""Commands for a Prefect server and its workers: set up, serve, work, examine.

The one module of `flows` that knows `deployments`, and only when a command runs.
"""

import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from flows.prefect_environment import prepare_prefect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deployments.doctor import Finding
    from deployments.worker import Worker

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Devices = Annotated[str | None, Parameter(help="GPUs, as 0,1; by default none is chosen.")]


def deploy(
    *,
    dry_run: bool = False,
    pool_type: Literal["process", "docker", "kubernetes"] = "process",
    image: str | None = None,
) -> int:
    """Set up a Prefect server: pools, deployments, schedules (off) and automations.

    The server is the one that PREFECT_API_URL names; without it nothing is done, and the exit
    code is 2. A second call changes nothing.

    Parameters
    ----------
    dry_run
        Say what would change, and change nothing.
    pool_type
        Of the work pools: process, docker or kubernetes.
    image
        Container image with amnst, for docker and kubernetes.
    """
    prepare_prefect(verbose=False)
    from deployments.definitions import definitions
    from deployments.deploy import deploy as apply
    from flows.server import server

    n_changed = 0
    with server("the API") as client:
        for change in apply(
            client, definitions(), pool_type=pool_type, image=image, dry_run=dry_run
        ):
            n_changed += change.action != "keep"
            print(change.sentence(dry_run=dry_run))
    sys.stderr.write(_verdict(n_changed, dry_run=dry_run))
    return 0


def _verdict(n_changed: int, *, dry_run: bool) -> str:
    if not n_changed:
        return "nothing to change\n"
    return f"{n_changed} {'would change; nothing was changed' if dry_run else 'changed'}\n"


def serve(*, port: int = 4200, devices: Devices = None, workers: Count = 1) -> int:
    """Run everything on this machine: server, UI, deployments and workers, until Ctrl-C.

    The server listens on 127.0.0.1 only; its database is a file in PREFECT_HOME. The UI's
    address is printed when it is there; the workers say when they have started.

    Parameters
    ----------
    port
        Of the server.
    devices
        GPUs, as 0,1: a worker for each.
    workers
        Where no GPU is named: so many workers, at least one, which share the cores.
    """
    from deployments.serve import Address, keep_working, running_server, stop_signal

    logging.basicConfig(level=logging.WARNING, format="amnst: %(message)s")
    address = Address(port)
    # The workers' own: what this process needs to be silent, they do not.
    environment = {**os.environ, "PREFECT_API_URL": address.api}
    sys.stderr.write(f"starting the Prefect server at {address.ui}\n")
    with stop_signal() as stop, running_server(address, stop) as server:
        if not stop.is_set():
            os.environ["PREFECT_API_URL"] = address.api
            sys.stderr.write("making deployments\n")
            deploy()
            team = _workers(devices, workers)
            print(f"UI: {address.ui}", flush=True)
            sys.stderr.write(f"starting {len(team)} workers\n")
            keep_working(team, server, environment, stop)
    return 0


def _workers(devices: str | None, n_workers: int) -> "list[Worker]":
    from deployments.worker import Worker
    from flows.settings import Settings

    cores = Settings().n_threads
    control = Worker(pool="control")
    if devices is not None:
        chosen = [device.strip() for device in devices.split(",")]
        threads = max(1, cores // len(chosen))
        return [control, *(Worker(pool="gpu", device=d, threads=threads) for d in chosen)]
    threads = max(1, cores // n_workers)
    slots = [f"-cpu{number}" for number in range(n_workers)]
    return [control, *(Worker(pool="gpu", slot=slot, threads=threads) for slot in slots)]


def worker(
    *,
    pool: Literal["control", "gpu"],
    device: str | None = None,
    name: str | None = None,
    threads: int | None = None,
    limit: int | None = None,
) -> int:
    """Work for the Prefect server that PREFECT_API_URL names, until SIGTERM.

    Parameters
    ----------
    pool
        The work pool: control for catalogues, gpu for what computes.
    device
        The one GPU to use, as 0.
    name
        By default the machine, the device and the version of amnst.
    threads
        Of one operation; by default AMNST_N_THREADS, else all cores.
    limit
        Runs at a time; by default 1 on the pool gpu, 8 on control.
    """
    from deployments.worker import Worker, become

    become(
        Worker(pool=pool, device=device, name=name, threads=threads, limit=limit),
    )


def doctor() -> int:
    """Examine store and scratch, and the Prefect server and its workers if one is named.

    PREFECT_API_URL names it. Exit code 0 when all that was looked at is well, 1 for warnings
    and faults.
    """
    prepare_prefect(verbose=False)
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    from deployments.definitions import definitions
    from deployments.doctor import examine_scratch, examine_server, examine_store
    from flows.settings import Settings

    workspace = Settings().workspace()
    findings = list(_told(examine_store(workspace.store_uri)))
    findings += _told(examine_scratch(workspace))
    well, unseen = "all is well", ""
    if get_current_settings().api.url:
        with get_client(sync_client=True) as client:
            findings += _told(examine_server(client, definitions()))
    else:
        well = "store and scratch are well"
        unseen = "; server and workers were not looked at: PREFECT_API_URL is not set"
    n_bad = sum(finding.level != "ok" for finding in findings)
    verdict = f"{n_bad} of {len(findings)} need attention" if n_bad else well
    sys.stderr.write(f"{verdict}{unseen}\n")
    return 1 if n_bad else 0


def _told(findings: "Iterable[Finding]") -> "Iterator[Finding]":
    for finding in findings:
        print(finding, flush=True)
        yield finding
