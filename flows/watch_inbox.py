"""Flow `watch-inbox`: render each manifest that is dropped into a folder or bucket, once."""

import logging
import time
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any

from prefect import flow
from prefect.states import Completed, Failed
from pydantic import Field

from flows.catalog import accepted_manifest
from flows.parameters import Place
from flows.requests import (
    Album,
    ControlValues,
    InputPlaces,
    Listen,
    ModelPlace,
    PresetName,
    RenderRequest,
    SkipInvalid,
    Sound,
    StrengthOrCurve,
    default_of,
)
from flows.server.connection import ServerError
from flows.server.environment import refuse_pickles
from flows.server.expected_errors import leave_tracebacks_out
from flows.server.runs import read_run, submit
from flows.settings import Settings
from nst_core.errors import NSTError
from tasks.inbox import State, Ticket, claim, dropped, finish, refuse, state_of, tell, ticket_of
from tasks.manifest.problems import ManifestError
from tasks.running.workspace import Workspace
from tasks.storage.uris import join

logger = logging.getLogger(__name__)


class InboxRequest(ControlValues):
    """Request to watch an inbox: its place, and how its manifests are rendered."""

    inbox: Annotated[Place, Field(title="Inbox", description="Folder or s3:// prefix")]
    output: Annotated[
        Place,
        Field(title="Output", description="Folder or s3:// prefix; each manifest gets a subfolder"),
    ]
    settle_s: Annotated[
        float,
        Field(
            title="Settle time",
            ge=0,
            le=3600,
            description="Seconds without a change before a manifest is rendered",
        ),
    ] = 10.0
    model: ModelPlace = default_of("model")
    preset: PresetName = default_of("preset")
    strength: StrengthOrCurve = default_of("strength")
    sound: Sound = default_of("sound")
    album: Album = default_of("album")
    input_roots: InputPlaces = default_of("input_roots")
    skip_invalid: SkipInvalid = default_of("skip_invalid")
    listen: Listen = default_of("listen")

    @property
    def title(self) -> str:
        """Name of the run in the UI."""
        return f"look into {PurePosixPath(self.inbox).name or self.inbox}"

    def of(self, manifest: str) -> RenderRequest:
        """Return the request to render one manifest into its own folder."""
        fields = self.model_dump(exclude={"inbox", "settle_s"})
        output = join(self.output, PurePosixPath(manifest).stem)
        return RenderRequest.model_validate({**fields, "manifest": manifest, "output": output})


@flow(
    name="watch-inbox",
    flow_run_name="{request.title}",
    validate_parameters=True,
    persist_result=False,
)
def watch_inbox(request: InboxRequest) -> Any:
    """Check the inbox once: start new manifests and mark ended ones; a schedule repeats this.

    The flow ends as Failed if a manifest cannot be processed (for example, if the server rejects
    its run); the others are still processed. A manifest with errors in it does not count as a
    failure: its errors are written next to it.
    """
    refuse_pickles()
    leave_tracebacks_out()
    workspace = Settings().workspace()
    told, n_failed = [], 0
    for entry in dropped(request.inbox, now_s=time.time(), settle_s=request.settle_s):
        try:
            told.append(_look_after(entry.uri, request, workspace))
        except NSTError as error:  # the next manifest must not wait for this one
            logger.warning("%s: %s", entry.uri, error)
            told.append(f"{entry.uri}: {error}")
            n_failed += 1
    message = "; ".join(filter(None, told)) or "nothing new"
    return (Failed if n_failed else Completed)(message=message)


def _look_after(manifest: str, request: InboxRequest, workspace: Workspace) -> str:
    """Take the next step for one manifest, and return a text that says what was done."""
    state, ticket = state_of(ticket_of(manifest))
    render = request.of(manifest)
    if state is None:
        return _begin(ticket, render, workspace)
    if state == "started" and not ticket.run_id:
        return _start(ticket, render, workspace)  # its watcher died after the claim
    if state == "done" or not ticket.run_id:
        return ""
    return _end(ticket, render, workspace, known=state)


def _begin(ticket: Ticket, render: RenderRequest, workspace: Workspace) -> str:
    try:
        accepted_manifest(render)
    except ManifestError as error:
        refuse(ticket, [str(problem) for problem in error.problems] or [str(error)], workspace)
        return f"{ticket.manifest}: refused"
    return _start(ticket, render, workspace) if claim(ticket) else ""


def _start(ticket: Ticket, render: RenderRequest, workspace: Workspace) -> str:
    """Start the run, or find the one that another watcher has started: both use the same key."""
    run = submit(render, idempotency_key=ticket.idempotency_key)
    tell(replace(ticket, run_id=str(run.id)), "started", workspace)
    return f"{ticket.manifest}: started as {run.name}"


def _end(ticket: Ticket, render: RenderRequest, workspace: Workspace, *, known: State) -> str:
    """Mark a manifest whose run has ended; a failed run may have been retried since."""
    try:
        state = read_run(ticket.run_id).state
    except ServerError as error:
        if error.code != "not_found":
            raise
        message, well = "its run was deleted", False
    else:
        if state is None or not state.is_final():
            return ""
        message, well = f"{state.name}: {state.message or ''}", state.is_completed()
    if known == "failed" and not well:
        return ""
    report = join(render.output, "results.csv")
    finish(ticket, report, well=well, message=message, workspace=workspace)
    return f"{ticket.manifest}: {message}"
