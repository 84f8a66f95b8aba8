"""A catalogue's shards on the workers of a deployment: started, watched, started again."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TypeVar
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
from prefect.types._datetime import now

from flows.catalog import Catalog, Shard
from flows.render_shard import finished_results
from flows.runs import cancel, read_run
from flows.server import ServerError
from nst_core.errors import NSTError
from tasks.caching import Workspace
from tasks.parts import forget_part, read_part
from tasks.results import RowResult, failure, not_run
from tasks.retry import patiently
from tasks.shards import ShardError

logger = logging.getLogger(__name__)
T = TypeVar("T")

_POLL_S = 5.0
_PAGE = 200
"""Runs that the server lists at a time."""
_MAX_STARTS = 3
"""Of a shard whose worker is lost: a pair may be what kills it."""
_PENDING_S = 600.0
"""A run that was claimed and never began: its worker is gone, and nothing beats for it."""
_SERVER_GRACE_S = 900.0


def render_on_workers(
    catalog: Catalog,
    workspace: Workspace,
    deployment: str,
    run_id: str,
    tell: Callable[[RowResult], None],
) -> None:
    """Render a catalogue's rows in flow runs of a deployment.

    `tell` hears of every row, whatever happens: of those whose shards were not begun, or were
    not over when this run was interrupted, that they were not run. What such a shard tells
    of its rows itself counts in the report.

    Shards of which nothing is left to make are not started. What a run of this catalogue
    has started before is found again by its idempotency key, and started again only where
    it is not completed.
    """
    told: set[int] = set()

    def keep(result: RowResult) -> None:
        told.add(result.line)
        tell(result)

    try:
        # Closed at once, and not when the traceback is gone: that cancels the shards.
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
    """Yield the result of every row: of finished shards at once, of others as they end."""
    to_start = []
    for shard, done in _looked_at(catalog, workspace, run_id):
        if done is None:
            to_start.append(shard)
        else:
            yield from done
    max_in_flight = catalog.request.max_in_flight
    for shard, run in _run_shards(to_start, deployment, max_in_flight, workspace):
        yield from _results_of(shard, run, catalog, workspace)


def _looked_at(
    catalog: Catalog, workspace: Workspace, run_id: str
) -> Iterator[tuple[Shard, list[RowResult] | None]]:
    """Every shard, with its results where nothing is left to make."""
    force = catalog.request.force and flow_run.get_run_count() <= 1
    identities: dict[str, str | NSTError] = {}
    defaults = catalog.defaults
    for shard in catalog.shards(run_id):
        rows = catalog.rows[shard.first : shard.stop]
        done = None if force else finished_results(rows, identities, defaults, workspace)
        yield shard, done


def _run_shards(
    shards: Sequence[Shard], deployment: str, max_in_flight: int, workspace: Workspace
) -> Iterator[tuple[Shard, FlowRun | None]]:
    """Keep some shards open at a time; yield each with its run, or None, when it is over."""
    waiting, under_way = deque(shards), dict[UUID, Shard]()
    ending: set[UUID] = set()  # of an earlier cancel; they start again once they have ended
    try:
        while waiting or under_way:
            while waiting and len(under_way) < max_in_flight:
                shard = waiting.popleft()
                patiently(lambda: forget_part(workspace, shard.catalog_run_id, shard.name))  # noqa: B023
                run = _asked(lambda: _start(shard, deployment))  # noqa: B023
                under_way[run.id] = shard
                if run.state and run.state.is_cancelling():
                    ending.add(run.id)
            runs = _asked(lambda: _read(under_way))
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
        # No tag that names the catalogue: every event of every task run would carry it, and its
        # run lists its shards anyway.
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
    """Say whether nothing more will come of a run; start it again where something can."""
    state = run.state if run else None
    if run is None or state is None:
        return True  # somebody has deleted it
    is_lost = state.type == StateType.CRASHED and run.run_count < _MAX_STARTS
    has_ended = state.is_cancelled() and run.id in ending
    if is_lost or has_ended or _is_stuck(state):
        ending.discard(run.id)
        _asked(lambda: _start_again(run))
        return False
    return state.is_final()


def _is_stuck(state: State) -> bool:
    waited = (now("UTC") - state.timestamp).total_seconds()
    return state.type == StateType.PENDING and waited > _PENDING_S


def _results_of(
    shard: Shard, run: FlowRun | None, catalog: Catalog, workspace: Workspace
) -> list[RowResult]:
    """What a shard's run has left, else what can be said of its rows without it."""
    part = patiently(lambda: list(read_part(workspace, shard.catalog_run_id, shard.name)))
    return part if len(part) == shard.stop - shard.first else _lost(shard, run, catalog, workspace)


def _lost(
    shard: Shard, run: FlowRun | None, catalog: Catalog, workspace: Workspace
) -> list[RowResult]:
    """The rows of a shard whose run ended without telling of them.

    They are those of the catalogue as it was cut: its manifest may be another by now.
    """
    message = run.state.message if run and run.state else "the run was deleted"
    state = run.state_name if run else "gone"
    error = ShardError(
        f"{shard.title} ended {state}: {message}; retry its run or the catalogue's",
        code="shard_lost",
    )
    identities: dict[str, str | NSTError] = {}
    defaults = catalog.defaults
    return [
        result
        for row in catalog.rows[shard.first : shard.stop]
        for result in finished_results([row], identities, defaults, workspace)
        or [failure(row, "shard", error)]
    ]


def _cancel_with_us(run_ids: Mapping[UUID, Shard]) -> None:
    """Cancel the shards if this run is being cancelled, and not if its process is lost.

    Where the server does not let us, the shards go on: what has ended this run must be heard.
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


def _asked(call: Callable[[], T]) -> T:
    """Call again while the server is away; everything asked of it here may be asked twice."""
    give_up = time.monotonic() + _SERVER_GRACE_S
    while True:
        try:
            return call()
        except (httpx.TransportError, PrefectHTTPStatusError) as error:
            busy = not isinstance(error, PrefectHTTPStatusError) or error.response.is_server_error
            if not busy or time.monotonic() > give_up:
                raise
            logger.warning("the Prefect server does not answer, asked again: %s", error)
            time.sleep(_POLL_S)
