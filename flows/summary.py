"""Display of a catalogue in the Prefect UI: a progress bar, and a page at its end."""

import logging
import re
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
from jinja2 import Environment
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from flows.requests import RenderRequest
from flows.server.connection import Remedy, ServerError, server
from flows.server.runs import end_otherwise
from tasks.report.page.places import page_beside
from tasks.report.results import Tally
from tasks.storage.credentials import scrub
from tasks.storage.uris import absolute, is_remote, local

logger = logging.getLogger(__name__)

_INTERVAL_S = 5.0
"""Time between two updates, because each is a request to the server."""

_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
# {{ manifest }}

{{ sentence }}

{{ impression }}

| rendered | already done | failed | invalid | not run | skipped |
|---|---|---|---|---|---|
| {{ counts.ok }} | {{ counts.cached }} | {{ counts.failed }} | {{ counts.invalid }} |\
 {{ counts.not_run }} | {{ counts.skipped }} |

Report: `{{ report }}`

Listen: `{{ page }}`

{% if failures %}
## Failures{{ " (the first %d)" % failures|length if n_failed > failures|length }}

| line | id | stage | code | reason |
|---|---|---|---|---|
{% for row in failures %}
| {{ row.line }} | {{ row.id }} | {{ row.stage }} | {{ row.error_code }} |\
 {{ row.error|replace("|", "/")|replace("\\n", " ")|truncate(300) }} |
{% endfor %}

{% endif %}
{% if workers %}
## Workers

| worker | pairs | pairs per minute |
|---|---|---|
{% for name, worker in workers %}
| {{ name }} | {{ worker.n_pairs }} |\
 {{ "%.1f"|format(worker.pairs_per_minute) if worker.pairs_per_minute else "" }} |
{% endfor %}
{% endif %}
""")


def artifact_key(request: RenderRequest, what: str) -> str:
    """Return the key of a catalogue's artifact: its manifest's name and what the artifact is.

    All runs of a manifest share it, so the UI shows the latest one and the earlier ones.
    """
    plain = unicodedata.normalize("NFKD", request.title).encode("ascii", "ignore").decode()
    name = re.sub("[^a-z0-9]+", "-", plain.lower()).strip("-") or "catalogue"
    return f"{name}-{what}"


def page_of(tally: Tally, manifest: str, report: str) -> str:
    """Return a catalogue's page as Markdown."""
    return _PAGE.render(
        manifest=manifest,
        sentence=tally.sentence(),
        impression=tally.impression(),
        counts=tally.counts,
        n_failed=tally.n_failed,
        failures=tally.first_failures,
        workers=sorted(tally.workers.items()),
        report=scrub(report),
        page=scrub(page_beside(report)),
    )


def tell_again(tally: Tally, request: RenderRequest, run_id: str, report: str) -> None:
    """Correct page and state of a catalogue's run that has ended, after the retry of a shard."""
    page = {
        "type": "markdown",
        "key": artifact_key(request, "report"),
        "data": page_of(tally, scrub(request.manifest), report),
        "description": tally.sentence(),
        "flow_run_id": run_id,
    }
    try:
        with server(f"page of flow run {run_id}", Remedy.API) as client:
            client.request("POST", "/artifacts/", json=page)
        end_otherwise(run_id, well=not tally.n_bad, message=tally.message())
    except ServerError as error:
        logger.warning("page and state of the catalogue's run are not up to date: %s", error)


class CatalogPage:
    """Artifacts of one catalogue run.

    Display only: if the server is unreachable, an update is lost, never the run.
    """

    def __init__(self, n_pairs: int, request: RenderRequest) -> None:
        self._n_pairs = max(n_pairs, 1)
        self._manifest = scrub(request.manifest)
        self._request = request
        self._shown_at = time.monotonic()
        self._progress: UUID | None = None
        with _if_possible():
            created = create_progress_artifact(
                0.0,
                key=artifact_key(request, "progress"),
                description=f"Pairs that are over: {self._manifest}",
            )
            self._progress = created  # type: ignore[assignment]  # the flow is not async

    def show(self, tally: Tally) -> None:
        """Update the bar, at most every few seconds."""
        if time.monotonic() - self._shown_at > _INTERVAL_S:
            self._move(tally)

    def end(self, tally: Tally, report: str) -> None:
        """Write the page."""
        self._move(tally)
        with _if_possible():
            create_markdown_artifact(
                page_of(tally, self._manifest, report),
                key=artifact_key(self._request, "report"),
                description=tally.sentence(),
            )
            create_link_artifact(
                scrub(_browsable(page_beside(report))),
                link_text="Listen",
                key=artifact_key(self._request, "listen"),
                description=f"Listening page: {self._manifest}",
            )

    def _move(self, tally: Tally) -> None:
        done = min(100 * tally.n_over / self._n_pairs, 100.0)
        with _if_possible():
            if self._progress:
                update_progress_artifact(self._progress, progress=done)
        self._shown_at = time.monotonic()


def _browsable(place: str) -> str:
    """Return a place as a URL that a browser can open, as far as there is one."""
    return place if is_remote(place) else local(absolute(place)).as_uri()


@contextmanager
def _if_possible() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        logger.warning("the page of this run in the UI is not up to date: %s", error)
