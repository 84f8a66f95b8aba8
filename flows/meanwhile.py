"""Listening page of a catalogue that is still being rendered."""

import logging
import time
from collections.abc import Callable

from flows.requests import RenderRequest
from tasks.report.page.writing import write_page
from tasks.report.parts import ResultLog
from tasks.report.tables import report_table
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError

logger = logging.getLogger(__name__)

_FIRST_S, _INTERVAL_S = 5.0, 30.0
_SHARE = 20
"""A page that took a second to write is not written again for twenty."""


class MeanwhilePage:
    """Page with the results so far, written now and then.

    Display only: a page that cannot be written is left out, because the run writes one at its end.
    """

    def __init__(
        self,
        workspace: Workspace,
        request: RenderRequest,
        run_id: str,
        *,
        n_asked: int,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._before = before
        self._workspace, self._request, self._run_id = workspace, request, run_id
        self._n_asked = n_asked
        self._due_at = time.monotonic() + _FIRST_S

    def show(self, log: ResultLog) -> None:
        """Write the page if it is due."""
        started = time.monotonic()
        if started < self._due_at:
            return
        try:
            write_page(
                report_table(log, self._run_id),
                self._workspace,
                self._request.output,
                inputs=self._request.listen,
                n_asked=self._n_asked,
                before=self._before,
            )
        except StorageError as error:
            logger.warning("the listening page is not up to date: %s", error)
        now = time.monotonic()
        self._due_at = now + max(_INTERVAL_S, _SHARE * (now - started))
