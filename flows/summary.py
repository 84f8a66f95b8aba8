"""Display of a catalogue in the Prefect UI: a progress bar, and a page at its end."""

import logging
import time
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

from flows.artifact_keys import page_key, progress_key
from flows.requests import RenderRequest
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


class CatalogPage:
    """Artifacts of one catalogue run.

    Display only: if the server is unreachable, an update is lost, never the run.
    """

    def __init__(self, n_pairs: int, request: RenderRequest, run_id: str) -> None:
        self._n_pairs = max(n_pairs, 1)
        self._manifest = scrub(request.manifest)
        self._key = page_key(run_id)
        self._shown_at = time.monotonic()
        self._progress: UUID | None = None
        with _if_possible():
            created = create_progress_artifact(
                0.0, key=progress_key(run_id), description=self._manifest
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
                _PAGE.render(
                    manifest=self._manifest,
                    sentence=tally.sentence(),
                    impression=tally.impression(),
                    counts=tally.counts,
                    n_failed=tally.n_failed,
                    failures=tally.first_failures,
                    workers=sorted(tally.workers.items()),
                    report=scrub(report),
                    page=scrub(page_beside(report)),
                ),
                key=self._key,
                description=tally.sentence(),
            )
            create_link_artifact(
                scrub(_browsable(page_beside(report))),
                link_text="Listen",
                key=f"{self._key}-listen",
                description=f"{self._manifest}: listening page",
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
