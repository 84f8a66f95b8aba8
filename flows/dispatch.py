"""Start a catalogue's shards on the workers of a deployment, watch them and restart lost ones."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import ParamSpec, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import flow_run
from prefect.states import AwaitingRetry

from flows.catalog import Catalog
from flows.finished import finished_results
from flows.server.connection import ServerError
from flows.server.runs import cancel, read_run
from flows.shards import Shard, ShardError
from nst_core.errors import NSTError
from tasks.report.parts import forget_part, read_part
from tasks.report.results import RowResult, failure, not_run
from tasks.running.retry import every, patiently, retrying
from tasks.running.workspace import Workspace

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_POLL_S = 5.0
_PAGE = 200
"""Number of runs per request to the server."""
_MAX_STARTS = 3
"""Maximum number of starts of a shard, because one of its pairs may kill the workers."""
_PENDING_S = 600.0
"""A run that is pending for longer has lost its worker, which sends no heartbeat for it."""
_SERVER_GRACE_S = 900.0


def render_on_workers(
    catalog: Catalog,
    workspace: Workspace,
    deployment: str,
    run_id: str,
    tell: Callable[[RowResult], None],
) -> None:
    """Render a catalogue's rows in flow runs of a deployment.

    `tell` is called once for every row. If the run is interrupted, the rows of unfinished shards
    are reported as not run. If such a shard reports its rows itself, its own results count.

    Finished shards are not started. Shard runs that an earlier attempt of this catalogue's run
    has started are found by their idempotency key, and started again only if they are not
    completed.
    """
    told: set[int] = set()

    def keep(result: RowResult) -> None:
        told.add(result.line)
        tell(result)

    try:
        # Closing cancels the shards; do it at once, because a traceback would delay it.
        with closing(_results(catalog, workspace, deployment, run_id)) as results:
            for result in results:
                keep(result)
    finally:
        for row in catalog.rows:
            if row.line not in told:
                keep(not_run(row))


def _results(
    catalog: Catalog, workspace: Workspace, deployment: str, run_id: str
) -> Generator[RowResult]:
    """Yield the result of every row: for finished shards at once, for others when they end."""
    to_start = []
    for shard, done in _looked_at(catalog, workspace, run_id):
        if done is None:
            to_start.append(shard)
        else:
            yield from done
    max_in_flight = catalog.request.max_in_flight

    def hand_rows(shard: Shard) -> None:
        patiently(forget_part, workspace, run_id, shard.name)
        patiently(catalog.hand_rows, shard, workspace)

    for shard, run in _run_shards(to_start, deployment, max_in_flight, hand_rows):
        yield from _results_of(shard, run, catalog, workspace)


def _looked_at(
    catalog: Catalog, workspace: Workspace, run_id: str
) -> Iterator[tuple[Shard, list[RowResult] | None]]:
    """Yield every shard, with its results if it is finished."""
    force = catalog.is_forced()
    identities: dict[str, str | NSTError] = {}
    defaults = catalog.defaults()
    for shard, rows in catalog.shards(run_id):
        done = None if force else finished_results(rows, identities, defaults, workspace)
        yield shard, done


def _run_shards(
    shards: Sequence[Shard],
    deployment: str,
    max_in_flight: int,
    before: Callable[[Shard], None] = lambda _: None,
) -> Iterator[tuple[Shard, FlowRun | None]]:
    """Keep up to `max_in_flight` shards open; yield each with its run (or None) when it is over.

    `before` is called for each shard before it is started.
    """
    waiting, under_way = deque(shards), dict[UUID, Shard]()
    ending: set[UUID] = set()  # cancelled earlier; they start again once they have ended
    try:
        while waiting or under_way:
            while waiting and len(under_way) < max_in_flight:
                shard = waiting.popleft()
                before(shard)
                run = _asked(_start, shard, deployment)
                under_way[run.id] = shard
                if run.state and run.state.is_cancelling():
                    ending.add(run.id)
            runs = _asked(_read, under_way)
            for run_id in [each for each in under_way if _is_over(runs.get(each), ending)]:
                yield under_way.pop(run_id), runs.get(run_id)
            if under_way:
                time.sleep(_POLL_S)
    except BaseException:
        _cancel_with_us(under_way)
        raise


def _start(shard: Shard, deployment: str) -> FlowRun:
    """Create the run of a shard, or find it and start it again."""
    run: FlowRun = run_deployment(  # type: ignore[assignment]  # the flow is not async
        deployment,
        parameters={"shard": shard.model_dump(mode="json")},
        flow_run_name=shard.title,
        idempotency_key=f"{shard.catalog_run_id}:{shard.digest}",
        # No tag names the catalogue: every event of every task run would carry it, and the
        # catalogue's run lists its shards anyway.
        tags=["amnst"],
        timeout=0,
    )
    if run.state and run.state.is_final():
        _start_again(run)
    return run


def _start_again(run: FlowRun) -> None:
    with get_client(sync_client=True) as client:
        state: State[None] = AwaitingRetry()
        client.set_flow_run_state(run.id, state)
    logger.info("%s starts again after %s", run.name, run.state_name)


def _read(run_ids: Mapping[UUID, Shard]) -> dict[UUID, FlowRun]:
    with get_client(sync_client=True) as client:
        ids = list(run_ids)
        pages = [_read_page(client, ids[at : at + _PAGE]) for at in range(0, len(ids), _PAGE)]
    return {run.id: run for page in pages for run in page}


def _read_page(client: SyncPrefectClient, ids: Sequence[UUID]) -> list[FlowRun]:
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(ids)))
    return client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.ID_DESC, limit=_PAGE)


def _is_over(run: FlowRun | None, ending: set[UUID]) -> bool:
    """Return whether a run has ended for good; start a lost run again."""
    state = run.state if run else None
    if run is None or state is None:
        return True  # it was deleted
    is_lost = state.type == StateType.CRASHED and run.run_count < _MAX_STARTS
    has_ended = state.is_cancelled() and run.id in ending
    if is_lost or has_ended or _is_stuck(state):
        ending.discard(run.id)
        _asked(_start_again, run)
        return False
    return state.is_final()


def _is_stuck(state: State) -> bool:
    waited = (datetime.now(UTC) - state.timestamp).total_seconds()
    return state.type == StateType.PENDING and waited > _PENDING_S


def _results_of(
    shard: Shard, run: FlowRun | None, catalog: Catalog, workspace: Workspace
) -> list[RowResult]:
    """Return the results that a shard's run has published, else what is known without them."""
    part = patiently(lambda: list(read_part(workspace, shard.catalog_run_id, shard.name)))
    return part if len(part) == shard.stop - shard.first else _lost(shard, run, catalog, workspace)


def _lost(
    shard: Shard, run: FlowRun | None, catalog: Catalog, workspace: Workspace
) -> list[RowResult]:
    """Return the results of a shard whose run ended without reporting its rows."""
    message = run.state.message if run and run.state else "the run was deleted"
    state = run.state_name if run else "gone"
    error = ShardError(
        f"{shard.title} ended {state}: {message}; retry its run or the catalogue's",
        code="shard_lost",
    )
    identities: dict[str, str | NSTError] = {}
    defaults = catalog.defaults()
    return [
        result
        for row in catalog.rows[shard.first : shard.stop]
        for result in finished_results([row], identities, defaults, workspace)
        or [failure(row, "shard", error)]
    ]


def _cancel_with_us(run_ids: Mapping[UUID, Shard]) -> None:
    """Cancel the shards if this run is being cancelled, but not if it ends for another reason.

    If the server refuses, the shards continue: the error that ended this run must be reported.
    """
    try:
        own = read_run(str(flow_run.get_id()))
    except ServerError as error:
        logger.warning("%d shards were not cancelled: %s", len(run_ids), error)
        return
    if own.state and own.state.type in {StateType.CANCELLING, StateType.CANCELLED}:
        for run_id in run_ids:
            try:
                cancel(str(run_id))
            except ServerError as error:
                if error.code != "ended":
                    logger.warning("not all shards were cancelled: %s", error)
                    return


def _asked(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call, and retry while the server is unreachable; no call here does harm if made twice."""
    return retrying(
        partial(call, *args, **kwargs),
        delays_s=every(_POLL_S, within_s=_SERVER_GRACE_S),
        is_passing=_is_away,
        tell=lambda error, _: logger.warning("the Prefect server does not answer: %s", error),
    )


def _is_away(error: Exception) -> bool:
    if isinstance(error, PrefectHTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)
