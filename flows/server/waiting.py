"""Wait for a run on a Prefect server: its progress, missing workers, and its report."""

import itertools
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from prefect.client.schemas.objects import FlowRun, State

from flows.server.connection import Remedy, ServerError, server
from flows.server.runs import read_run, shards_under_way
from flows.settings import Settings
from tasks.report.parts import is_over
from tasks.running.retry import retrying
from tasks.storage.credentials import scrub
from tasks.storage.errors import StorageError
from tasks.storage.uris import join

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Intervals at which a waiting command asks the server, in seconds.

    Attributes
    ----------
    poll_s
        Between two requests for the run; each costs the server as much as three task run events.
    show_s
        Between two requests for a catalogue's progress, and for runs that wait for a worker.
    untaken_s
        A run that is late by more than this may have no worker.
    """

    poll_s: float = 5.0
    show_s: float = 15.0
    untaken_s: float = 60.0


CALM = Pace()
"""Pace of the commands."""


def wait_for(
    run_id: str,
    warn: Callable[[str], None],
    show: Callable[[float], None],
    *,
    pace: Pace | None = None,
) -> tuple[FlowRun, State]:
    """Wait until a flow run has ended, and return it with its state.

    Parameters
    ----------
    run_id
        Id of the flow run.
    warn
        Called when the server is unreachable, and once if no worker takes the run or a shard.
    show
        Called with the percentage of a catalogue's pairs that have ended.
    pace
        Intervals between requests; `CALM` by default.
    """
    pace = pace or CALM
    show_at = look_at = 0.0
    while True:
        run = _patiently(pace, warn, read_run, run_id)
        if run.state and run.state.is_final():
            return run, run.state
        if time.monotonic() >= show_at:
            show_at = time.monotonic() + pace.show_s
            show(_patiently(pace, warn, _percent_over, run))
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + pace.show_s
            if untaken := _patiently(pace, warn, _untaken, run, pace.untaken_s):
                pool = untaken.work_pool_name
                of_pool = f" of the pool {pool}" if pool else ""
                warn(
                    f"{untaken.name} waits: all workers{of_pool} are busy, or none is running; "
                    "amnst doctor lists the running ones"
                )
                look_at = math.inf
        time.sleep(pace.poll_s)


def _patiently(
    pace: Pace,
    warn: Callable[[str], None],
    call: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call, and retry while the server is unreachable; call `warn` only once."""
    once = [warn]

    def tell(error: Exception, _delay_s: float) -> None:
        while once:
            once.pop()(f"{error} [server_away]; waiting for it")

    return retrying(
        lambda: call(*args, **kwargs),
        delays_s=itertools.repeat(pace.poll_s),
        is_passing=lambda error: isinstance(error, ServerError) and error.code == "server_away",
        tell=tell,
    )


def _percent_over(run: FlowRun) -> float:
    """Return the percentage of a catalogue's progress bar; 0 before there is one."""
    wanted = {**_artifacts_of(str(run.id), "progress"), "sort": "CREATED_DESC", "limit": 1}
    with server(f"progress of flow run {run.id}", Remedy.API) as client:
        found = client.request("POST", "/artifacts/filter", json=wanted).json()
    return float(found[0]["data"]) if found else 0.0


def _untaken(run: FlowRun, untaken_s: float) -> FlowRun | None:
    """Return the run if no worker takes it, or a shard if no worker takes any shard."""
    waiting = [run] if _is_untaken(run, untaken_s) else shards_under_way(run)
    return waiting[0] if waiting and all(_is_untaken(each, untaken_s) for each in waiting) else None


def _is_untaken(run: FlowRun, untaken_s: float) -> bool:
    if run.state is None or not run.state.is_scheduled():
        return False
    due = run.state.state_details.scheduled_time or run.state.timestamp
    return (datetime.now(UTC) - due).total_seconds() >= untaken_s


def report_of(run: FlowRun) -> str | None:
    """Return the place of the report of a catalogue's or shard's run; None if there is none yet.

    Waits for an unreachable server. A page in the UI shows that there is a report. If the server
    refused the page, the run continued without it; then the store is checked, which this machine
    may share.
    """
    shard = run.parameters.get("shard", {})
    output = (shard or run.parameters).get("request", {}).get("output")
    catalog_run_id = shard.get("catalog_run_id", str(run.id))
    n_pages = _patiently(CALM, lambda _: None, _count_pages, catalog_run_id)
    if output and (n_pages or _is_over_in_store(catalog_run_id)):
        return scrub(join(output, "results.csv"))
    return None


def _is_over_in_store(catalog_run_id: str) -> bool:
    try:
        return is_over(Settings().workspace(), catalog_run_id)
    except StorageError as error:  # this machine may not be able to reach the store
        logger.warning("could not find out whether there is a report: %s", error)
        return False


def _count_pages(run_id: str) -> int:
    wanted = _artifacts_of(run_id, "markdown")
    with server(f"pages of flow run {run_id}", Remedy.API) as client:
        n_pages: int = client.request("POST", "/artifacts/count", json=wanted).json()
    return n_pages


def _artifacts_of(run_id: str, kind: str) -> dict[str, Any]:
    return {"artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": [kind]}}}
