"""Flow `watch-inbox`: a manifest that is dropped in a folder or bucket is rendered once."""

import logging
import time
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any

from prefect import flow
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, Field

from flows.catalog import (
    InputPlaces,
    ModelPlace,
    PresetName,
    RenderRequest,
    SkipInvalid,
    Sound,
    Strength,
    accepted_manifest,
)
from flows.prefect_environment import refuse_pickles
from flows.runs import read_run, submit
from flows.server import ServerError
from flows.settings import Settings
from nst_core.config import DEFAULT_PRESET, OutputConfig
from nst_core.errors import NSTError
from tasks.caching import Workspace
from tasks.files import join
from tasks.inbox import State, Ticket, claim, dropped, finish, refuse, state_of, tell, ticket_of
from tasks.problems import ManifestError

logger = logging.getLogger(__name__)


class InboxRequest(BaseModel):
    """Where manifests are dropped, and how they are rendered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inbox: Annotated[str, Field(title="Inbox", description="Folder or s3:// prefix")]
    output: Annotated[
        str, Field(title="Output", description="Folder or s3:// prefix; below it one per manifest")
    ]
    settle_s: Annotated[
        float,
        Field(
            title="Settle time",
            ge=0,
            le=3600,
            description="Seconds without a change before a manifest is taken",
        ),
    ] = 10.0
    model: ModelPlace = None
    preset: PresetName = DEFAULT_PRESET
    strength: Strength = None
    sound: Sound = OutputConfig()
    input_roots: InputPlaces = ()
    skip_invalid: SkipInvalid = False

    def of(self, manifest: str) -> RenderRequest:
        """The request to render one manifest, into a folder of its own."""
        fields = self.model_dump(exclude={"inbox", "settle_s"})
        output = join(self.output, PurePosixPath(manifest).stem)
        return RenderRequest.model_validate({**fields, "manifest": manifest, "output": output})


@flow(name="watch-inbox", validate_parameters=True, persist_result=False)
def watch_inbox(request: InboxRequest) -> Any:
    """Look once: start what is new, mark what has ended. A schedule calls it again and again.

    Ends Failed if a manifest could not be looked after, as when the server refuses its run; the
    others were. One that is refused for what is in it has its errors beside it and is no failure.
    """
    refuse_pickles()
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
    """Bring one manifest a step further; say what was done."""
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
    """Start the run, or find the one another watcher has started: the key is the manifest's."""
    run = submit(render, idempotency_key=ticket.idempotency_key)
    tell(replace(ticket, run_id=str(run.id)), "started", workspace)
    return f"{ticket.manifest}: started as {run.name}"


def _end(ticket: Ticket, render: RenderRequest, workspace: Workspace, *, known: State) -> str:
    """Mark a manifest whose run has ended; a failed one may have been retried since."""
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
