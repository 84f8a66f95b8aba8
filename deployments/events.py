"""Events of catalogues, for the terminal of `amnst serve`: one line each."""

import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from threading import Event, Thread

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

logger = logging.getLogger(__name__)

FLOWS = ["render-catalog", "render-shard", "train-classifier"]
"""Flows whose runs are reported; the inbox is looked into every minute, which is no news."""
_POLL_S = 3.0
_LATEST = 50
"""Runs per request; a server that starts more between two requests has no reader either."""
_WORDS = {"RUNNING": "started", "CANCELLING": "stopping"}


class Watch:
    """What has happened to the runs of catalogues since the last look."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._seen = {run.id: run.state_id for run in _latest(client)}

    def news(self, client: SyncPrefectClient) -> Iterator[str]:
        """Yield a line for each run that has started or ended since the last call."""
        for run in reversed(_latest(client)):
            if self._seen.get(run.id) != run.state_id:
                self._seen[run.id] = run.state_id
                if line := line_of(run):
                    yield line


def _latest(client: SyncPrefectClient) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=FLOWS)),
        sort=FlowRunSort.START_TIME_DESC,
        limit=_LATEST,
    )


def line_of(run: FlowRun) -> str:
    """Return what to say about the state of a run; empty if it is no news."""
    state = run.state
    if state is None or not (state.is_final() or state.type.value in _WORDS):
        return ""
    at = state.timestamp.astimezone().strftime("%H:%M:%S")
    if not state.is_final():
        return f"{at} {run.name}: {_WORDS[state.type.value]}"
    said = (state.message or "").partition("\n")[0]
    return f"{at} {run.name}: {state.name}{': ' if said else ''}{said}"


def tell_events(say: Callable[[str], None], stop: Event, *, poll_s: float = _POLL_S) -> Thread:
    """Start a thread that says what happens to catalogues, until `stop` is set."""
    settings = copy_context()  # of Prefect's client: a thread does not inherit them
    thread = Thread(
        target=settings.run, args=(_tell, say, stop, poll_s), name="amnst-events", daemon=True
    )
    thread.start()
    return thread


def _tell(say: Callable[[str], None], stop: Event, poll_s: float) -> None:
    watch: Watch | None = None
    while not stop.is_set():
        try:
            with get_client(sync_client=True) as client:
                watch = watch or Watch(client)
                for line in watch.news(client):
                    say(line)
        except httpx.HTTPError as error:  # display only; the server may be busy
            logger.debug("no events: %s", error)
        stop.wait(poll_s)
