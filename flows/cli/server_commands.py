"""Commands for a Prefect server and its workers: set up, serve, work, examine.

This is the only module of `flows` that imports `deployments`, and only when a command runs.
"""

import logging
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from flows.cli.asking import ask_server, say_at_terminal
from flows.server.home import prefect_home, private_prefect_home
from flows.server.login import AUTH, log_in, login_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deployments.doctor import Finding
    from deployments.worker import Worker

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Devices = Annotated[str | None, Parameter(help="GPUs to use, such as 0,1; by default none.")]


def deploy(
    *,
    dry_run: bool = False,
    pool_type: Literal["process", "docker", "kubernetes"] = "process",
    image: str | None = None,
) -> int:
    """Set up a Prefect server: pools, deployments, schedules (off) and automations.

    PREFECT_API_URL names the server, by default the one of `amnst serve` on this machine. Without a
    server, the command does nothing and exits with 2. A second call changes nothing.

    Parameters
    ----------
    dry_run
        Show what would change, without changing anything.
    pool_type
        Type of the work pools: process, docker or kubernetes.
    image
        Container image that contains amnst, for docker and kubernetes.
    """
    ask_server(patient=True)
    from deployments.definitions import definitions
    from deployments.deploy import deploy as apply
    from flows.server.connection import Remedy, server
    from flows.server.contact import first_contact

    first_contact()
    n_changed = 0
    with server("the API", Remedy.API) as client:
        for change in apply(
            client, definitions(), pool_type=pool_type, image=image, dry_run=dry_run
        ):
            n_changed += change.action != "keep"
            print(change.sentence(dry_run=dry_run), flush=True)
    sys.stderr.write(_verdict(n_changed, dry_run=dry_run))
    return 0


def _verdict(n_changed: int, *, dry_run: bool) -> str:
    if not n_changed:
        return "nothing to change\n"
    return f"{n_changed} {'would change; nothing was changed' if dry_run else 'changed'}\n"


def serve(
    *,
    port: int = 4200,
    devices: Devices = None,
    workers: Count = 1,
    allow_host: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    auth: bool = True,
) -> int:
    """Run everything on this machine: server, UI, deployments and workers, until Ctrl-C.

    The server listens on 127.0.0.1 only and asks for a login that other users of the machine
    cannot read. Its database is a file in PREFECT_HOME. The command prints the UI's address when
    the UI is ready, and a line for each catalogue and shard that starts or ends. All else that
    server and workers say is in a log file.

    Parameters
    ----------
    port
        Port of the server.
    devices
        GPUs to use, such as 0,1; one worker for each.
    workers
        Number of workers if no GPU is named, at least 1; they share the cores.
    allow_host
        Further host names of the server, such as prefect.example.org behind a reverse proxy;
        requests for any other host name are refused.
    auth
        Ask for a login. With --no-auth every user and program of this machine can run commands
        as you.
    """
    from deployments.local_server import Address, log_file, running_server
    from deployments.serve import keep_working, stop_signal
    from flows.cli.screen import working

    logging.basicConfig(level=logging.WARNING, format="amnst: %(message)s")
    address = Address(port)
    # For the workers: they do not need the settings that keep this process quiet.
    environment = {
        **os.environ,
        "PREFECT_HOME": str(prefect_home()),
        "PREFECT_API_URL": address.api,
    }
    with stop_signal() as stop, ExitStack() as until_the_end:
        with working(f"starting the Prefect server at {address.ui}"):
            server = until_the_end.enter_context(
                running_server(address, stop, auth=auth, allow_hosts=allow_host or ())
            )
        if not stop.is_set():
            ours = {"PREFECT_API_URL": address.api}
            if server.login:
                ours[AUTH] = server.login
            environment.update(ours)
            os.environ.update(ours)
            sys.stderr.write("creating deployments\n")
            deploy()
            team = _workers(devices, workers)
            print(f"UI: {address.ui}", flush=True)
            sys.stderr.write(_way_in(auth=auth))
            sys.stderr.write(f"log of server and workers: {log_file(prefect_home())}\n")
            sys.stderr.write(f"starting {len(team)} workers; Ctrl-C ends everything\n")
            sys.stderr.write(_next_commands(address.api))
            from deployments.events import tell_events

            telling = tell_events(lambda line: print(line, file=sys.stderr, flush=True), stop)
            keep_working(team, server, environment, stop)
            telling.join(timeout=5)
    return 0


def _next_commands(api: str) -> str:
    return (
        "amnst finds this server in another terminal:\n"
        "  amnst submit manifest.csv --output out --wait\n"
        "other programs need its address:\n"
        f"  export PREFECT_API_URL={api}\n"
    )


def _way_in(*, auth: bool) -> str:
    if not auth:
        return (
            "warning: --no-auth: every user and program of this machine can run commands as you\n"
        )
    if "PREFECT_SERVER_API_AUTH_STRING" in os.environ:
        return "log in to the UI with your PREFECT_SERVER_API_AUTH_STRING\n"
    return f"log in to the UI with the whole line in {login_file(prefect_home())}\n"


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
    """Work for the Prefect server that PREFECT_API_URL names, or of `amnst serve`, until SIGTERM.

    Parameters
    ----------
    pool
        Work pool: control for catalogues, gpu for shards and training.
    device
        Number of the GPU to use, such as 0.
    name
        Name of the worker; by default the machine, the device and the version of amnst.
    threads
        Threads per operation; by default AMNST_N_THREADS, else all cores.
    limit
        Maximum number of runs at a time; by default 1 on the pool gpu, 8 on control.
    """
    environment = dict(os.environ)  # before the settings that keep this process quiet
    ask_server()
    from deployments.worker import Worker, become
    from flows.server.contact import first_contact

    first_contact()
    home = private_prefect_home()
    environment["PREFECT_HOME"] = str(home)
    if "PREFECT_API_URL" in os.environ:  # perhaps found only now
        environment["PREFECT_API_URL"] = os.environ["PREFECT_API_URL"]
    log_in(environment, home)
    become(Worker(pool=pool, device=device, name=name, threads=threads, limit=limit), environment)


def doctor(*, verbose: bool = False) -> int:
    """Check the store and the scratch folder, and the Prefect server and its workers.

    PREFECT_API_URL names the server, by default the one of `amnst serve` on this machine. Without a
    server, only store and scratch folder are checked.
    Exits with 0 if all checks pass, and with 1 if there are warnings or faults.

    Parameters
    ----------
    verbose
        Show all checks, even those that are well and need no operator.
    """
    ask_server(first="checking the store, which takes seconds")
    from prefect.client.orchestration import get_client

    from deployments.definitions import definitions
    from deployments.doctor import Finding, examine_scratch, examine_server, examine_store
    from flows.server.connection import ServerError
    from flows.server.contact import find_server, first_contact
    from flows.settings import Settings

    workspace = Settings().workspace()
    findings = list(_told(examine_store(workspace.store_uri), verbose=verbose))
    findings += _told(examine_scratch(workspace), verbose=verbose)
    well, unseen = "all is well", ""
    if find_server():
        say_at_terminal("checking the server and its workers")
        try:
            first_contact()
        except ServerError as error:
            findings.append(Finding("fault", "server", f"{error} [{error.code}]"))
            print(findings[-1], flush=True)
        else:
            with get_client(sync_client=True) as client:
                findings += _told(examine_server(client, definitions()), verbose=verbose)
    else:
        well = "store and scratch folder passed all checks"
        unseen = (
            "; server and workers were not checked: PREFECT_API_URL is not set, and no amnst serve "
            "runs here"
        )
    n_bad = sum(finding.level != "ok" for finding in findings)
    verdict = f"{n_bad} of {len(findings)} checks need attention" if n_bad else well
    sys.stderr.write(f"{verdict}{unseen}\n")
    return 1 if n_bad else 0


def _told(findings: "Iterable[Finding]", *, verbose: bool) -> "Iterator[Finding]":
    for finding in findings:
        if finding.is_shown(verbose=verbose):
            print(finding, flush=True)
        yield finding
