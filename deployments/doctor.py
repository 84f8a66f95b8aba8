"""`amnst doctor`: find problems of the store, the Prefect server and the workers."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from deployments.automations import PENDING_S, lost_runs, stuck_runs
from deployments.database import Database, database_of
from deployments.definitions import CONTROL, GPU, Definition
from deployments.delays import event_delay_s, unrecorded_delay_s
from deployments.pools import open_choices
from deployments.worker import host_and_version
from nst_core import __version__
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.probe import probe_store

_SLOW_S = 15.0
"""Delay that shows a backlog: batches are written every few seconds."""
_WAITS_S = 60.0
"""Age of runs that lack a worker: workers ask for runs every few seconds."""
_WORK = {CONTROL: "for catalogues", GPU: "for shards and training"}
"""What the workers of each pool do."""
_BIG_SQLITE = 2_000_000_000
_PAGE = 200
_PLANNED_WITHIN_S = 120.0
"""The server plans the runs of all schedules once a minute."""


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    detail
        Whether an operator needs it only for a closer look; a warning or fault is always shown.
    """

    level: Literal["ok", "warning", "fault"]
    subject: str
    text: str
    detail: bool = False

    def is_shown(self, *, verbose: bool) -> bool:
        """Return whether to print it."""
        return verbose or not self.detail or self.level != "ok"

    def __str__(self) -> str:
        return f"{self.level:<8} {self.subject}: {self.text}"


def examine_store(store_uri: str) -> Iterator[Finding]:
    """Probe the artefact store."""
    try:
        found = probe_store(store_uri)
    except StorageError as error:
        yield Finding("fault", "store", f"{error}; see AMNST_STORE_URI and the credentials")
        return
    if not found.broken:
        yield Finding("ok", "store", f"{found.uri} keeps what is written, also for many writers")
    for promise in found.promises:
        level: Literal["ok", "fault"] = "fault" if promise.holds is False else "ok"
        text = f"{promise.claim}: {promise.seen}"
        yield Finding(level, f"store {promise.name}", text, detail=True)
    yield from (Finding("warning", "store", remark) for remark in found.remarks)


def examine_scratch(workspace: Workspace) -> Iterator[Finding]:
    """Check that the scratch folder can be used, and report its free space."""
    try:
        with workspace.scratch_folder() as folder:
            free_gb = shutil.disk_usage(folder).free / 1e9
    except StorageError as error:
        yield Finding("fault", "scratch", str(error))
    else:
        yield Finding("ok", "scratch", f"{workspace.scratch}, {free_gb:.1f} GB free")


def examine_server(
    client: SyncPrefectClient,
    definitions: Iterable[Definition],
    *,
    planned_within_s: float = _PLANNED_WITHIN_S,
) -> Iterator[Finding]:
    """Check a Prefect server and its workers.

    If the server fails or refuses a request, that is a fault, and the remaining checks are skipped.
    """
    try:
        yield from _examine(client, definitions, planned_within_s)
    except httpx.HTTPStatusError as error:
        said = f"{error.response.status_code} {error.response.text[:300]}"
        remedy = "see its log"
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            remedy = "set PREFECT_API_AUTH_STRING to its login"
        yield Finding("fault", "server", f"{client.api_url} answers {said}; {remedy}")
    except httpx.TransportError as error:
        yield Finding("fault", "server", _silent(client, error))


def _silent(client: SyncPrefectClient, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    start = "start it with amnst serve, or correct PREFECT_API_URL"
    return f"{client.api_url} does not answer ({reason}); {start}"


def _examine(
    client: SyncPrefectClient, definitions: Iterable[Definition], planned_within_s: float
) -> Iterator[Finding]:
    if error := client.api_healthcheck():
        yield Finding("fault", "server", _silent(client, error))
        return
    yield Finding("ok", "server", f"{client.api_url} answers, Prefect {client.api_version()}")
    live = {pool: _live_workers(client, pool) for pool in (CONTROL, GPU)}
    for pool, workers in live.items():
        yield _pool(client, pool, workers)
        if workers is not None:
            yield from _choices(client, pool)
    names = [name for workers in live.values() for name in workers or ()]
    yield from _versions(client, definitions, names)
    yield from _watches(client)
    yield from _database(database_of(client), names)
    yield from _delays(client)
    yield from _waiting_runs(client)
    yield from _schedules(client, definitions, planned_within_s)


def _live_workers(client: SyncPrefectClient, pool: str) -> list[str] | None:
    """Return the names of the workers with a heartbeat; None if the pool does not exist."""
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        return None
    asked = client.request(
        "POST",
        "/work_pools/{work_pool_name}/workers/filter",
        path_params={"work_pool_name": pool},
        json={"workers": {"status": {"any_": ["ONLINE"]}}, "limit": _PAGE},
    )
    return [worker["name"] for worker in asked.json()]


def _pool(client: SyncPrefectClient, pool: str, workers: list[str] | None) -> Finding:
    subject = f"workers {_WORK[pool]}"
    if workers is None:
        return Finding("fault", subject, f"there is no work pool {pool}; run amnst deploy")
    if client.read_work_pool(pool).is_paused:
        return Finding("warning", subject, f"the work pool {pool} is paused: its runs wait")
    if not workers:
        start = f"start one with amnst worker --pool {pool}"
        return Finding("fault", subject, f"none is running, so nothing starts; {start}")
    return Finding("ok", subject, f"{len(workers)} running: {', '.join(sorted(workers))}")


def _choices(client: SyncPrefectClient, pool: str) -> Iterator[Finding]:
    """Report variables that a run of a pool may choose but should not."""
    if names := open_choices(client.read_work_pool(pool).base_job_template):
        yield Finding(
            "warning",
            f"job template of pool {pool}",
            f"runs may choose their {', '.join(names)}, and so start any program; run amnst "
            'deploy, or, if the template was edited, set "additionalProperties": false in its '
            "variables and remove these variables",
        )


def _versions(
    client: SyncPrefectClient, definitions: Iterable[Definition], workers: Sequence[str]
) -> Iterator[Finding]:
    deployed: dict[str, str | None] = {}
    for definition in definitions:
        name = definition.full_name
        try:
            deployed[name] = client.read_deployment_by_name(name).version
        except ObjectNotFound:
            yield Finding("fault", f"deployment {name}", "it does not exist; run amnst deploy")
    expected = _most_common(deployed.values()) or __version__
    skewed = [
        Finding(
            "warning",
            f"deployment {name}",
            f"it was made by amnst {version}, others by {expected}; run amnst deploy",
        )
        for name, version in deployed.items()
        if version != expected
    ]
    for name in workers:
        said = host_and_version(name)
        if said and said[1] != expected:
            text = f"it runs amnst {said[1]}, the deployments were made by {expected}"
            skewed.append(Finding("fault", f"worker {name}", f"{text}; install {expected} there"))
    if expected != __version__:
        text = f"this is amnst {__version__}, the deployments were made by {expected}"
        way_out = f"run amnst deploy, or install {expected}"
        skewed.append(Finding("warning", "version", f"{text}; {way_out}"))
    silent = sorted(name for name in workers if not host_and_version(name))
    untold = f"; no version in these worker names: {', '.join(silent)}" if silent else ""
    text = f"amnst {expected} everywhere{untold}"
    yield from skewed or [Finding("ok", "version", text, detail=True)]


def _most_common(versions: Iterable[str | None]) -> str | None:
    known = [version for version in versions if version]
    return max(known, key=known.count) if known else None


def _watches(client: SyncPrefectClient) -> Iterator[Finding]:
    """Check the automations that end lost runs."""
    names = (lost_runs(1 << 10).name, stuck_runs(PENDING_S).name)
    for name in names:
        found = next(iter(client.read_automations_by_name(name)), None)
        if found is None or not found.enabled:
            state = "it is missing; run amnst deploy" if found is None else "it is switched off"
            text = f"{state}: runs of a lost machine stay Running for ever"
            yield Finding("warning", f"automation {name}", text)


def _database(database: Database, workers: Iterable[str]) -> Iterator[Finding]:
    hosts = sorted({said[0] for name in workers if (said := host_and_version(name))})
    if database.single_machine and len(hosts) > 1:
        yield Finding(
            "warning",
            "database",
            f"{database.kind}, with workers on {len(hosts)} machines ({', '.join(hosts)}); use "
            "PostgreSQL and Redis, as deployments/compose.yaml does",
        )
    size = database.size
    if size is not None and size > _BIG_SQLITE:
        advice = "shorten PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD, or use PostgreSQL"
        yield Finding("warning", "database", f"{database.kind}, {size / 1e9:.1f} GB; {advice}")
    else:
        known = "" if size is None else f", {size / 1e6:.1f} MB"
        yield Finding("ok", "database", f"{database.kind}{known}", detail=True)


def _delays(client: SyncPrefectClient) -> Iterator[Finding]:
    settings = "see the batch sizes in deployments/server_environment.py"
    for subject, delay in (
        ("events in the UI", event_delay_s(client, give_up_s=2 * _SLOW_S)),
        ("pairs in the UI", unrecorded_delay_s(client)),
    ):
        if delay is None:
            late = f"shown more than {2 * _SLOW_S:.0f} s late; {settings}"
            yield Finding("fault", subject, late)
        elif delay > _SLOW_S:
            yield Finding("warning", subject, f"shown {delay:.0f} s late; {settings}")
        else:
            yield Finding("ok", subject, f"shown {delay:.1f} s late", detail=True)


def _waiting_runs(client: SyncPrefectClient) -> Iterator[Finding]:
    """Count runs that wait for a worker; many are normal for a catalogue of many shards."""
    due = (datetime.now(UTC) - timedelta(seconds=_WAITS_S)).isoformat()
    scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    n_runs = _count(client, {**scheduled, "next_scheduled_start_time": {"before_": due}})
    found = f"{n_runs} waiting for a worker for more than a minute" if n_runs else "none"
    yield Finding("ok", "waiting runs", found, detail=not n_runs)


def _schedules(
    client: SyncPrefectClient, definitions: Iterable[Definition], planned_within_s: float
) -> Iterator[Finding]:
    """Check that every active schedule has planned runs."""
    for definition in definitions:
        try:
            deployment = client.read_deployment_by_name(definition.full_name)
        except ObjectNotFound:
            continue  # reported elsewhere
        on_since = [s.updated or s.created for s in deployment.schedules if s.active]
        if not on_since:
            continue
        subject = f"schedule of {definition.full_name}"
        states = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}
        planned = _count(client, {"state": states}, deployment.id)
        age_s = (datetime.now(UTC) - min(filter(None, on_since))).total_seconds()
        if planned or age_s < planned_within_s:
            yield Finding("ok", subject, "it is on", detail=True)
        else:
            text = "it is on, but no run is planned; see the server's log"
            yield Finding("fault", subject, text)


def _count(
    client: SyncPrefectClient, runs: dict[str, Any], deployment_id: UUID | None = None
) -> int:
    wanted: dict[str, Any] = {"flow_runs": runs}
    if deployment_id:
        wanted["deployments"] = {"id": {"any_": [str(deployment_id)]}}
    n_runs: int = client.request("POST", "/flow_runs/count", json=wanted).json()
    return n_runs
