"""Inbox for dropped manifests: each is rendered once, and files next to it show its state.

::

    songs.csv                  the manifest
    songs.csv.started.json     claimed: create-only, so that only one of two watchers starts it
    songs.csv.done.json        or .failed.json: how it ended
    songs.csv.results.csv      the report of the rows
    songs.csv.errors.txt       the problems of a manifest that cannot be rendered

The manifest stays in its place, because its relative paths start there and a retry reads it
again. A changed manifest counts as a new one.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.running.workspace import Workspace
from tasks.storage.files import create, delete, list_files, publish, read_bytes, read_if_present
from tasks.storage.places import Entry

State = Literal["started", "done", "failed"]
_STATES: tuple[State, ...] = ("done", "failed", "started")
"""States in order of precedence: the first one with a marker counts."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Dropped manifest and its state.

    Attributes
    ----------
    manifest
        Path or URI.
    sha256
        Hash of its bytes: with other content it is another manifest.
    run_id
        Flow run that renders it; empty if there is none yet.
    message
        Message about how its run ended.
    """

    manifest: str
    sha256: str
    run_id: str = ""
    message: str = ""

    @property
    def idempotency_key(self) -> str:
        """Key that allows only one run per manifest and content, however often it is requested."""
        place = hashlib.sha256(self.manifest.encode()).hexdigest()[:16]
        return f"manifest:{place}:{self.sha256}"


def dropped(inbox: str, *, now_s: float, settle_s: float) -> list[Entry]:
    """List the manifests of a folder or prefix that have not changed for `settle_s` seconds."""
    return [
        entry
        for entry in list_files(inbox)
        if entry.uri.lower().endswith(".csv")
        and not entry.uri.lower().endswith(".csv.results.csv")
        and now_s - (entry.modified_s or 0.0) >= settle_s
    ]


def ticket_of(manifest: str) -> Ticket:
    """Return a new ticket for the current content of a manifest."""
    return Ticket(manifest=manifest, sha256=hashlib.sha256(read_bytes(manifest)).hexdigest())


def state_of(ticket: Ticket) -> tuple[State | None, Ticket]:
    """Return the state of a manifest and its last written ticket; None if it has not started.

    Markers written for other contents are ignored.
    """
    for state in _STATES:
        data = read_if_present(_marker(ticket, state))
        found = _parsed(data) if data else None
        if found and found.sha256 == ticket.sha256:
            return state, found
    return None, ticket


def claim(ticket: Ticket) -> bool:
    """Claim a manifest; of several concurrent callers only one gets True."""
    stale = read_if_present(_marker(ticket, "started"))
    if stale and ((found := _parsed(stale)) is None or found.sha256 != ticket.sha256):
        for state in _STATES:
            delete(_marker(ticket, state))
    return create(_marker(ticket, "started"), _text(ticket))


def tell(ticket: Ticket, state: State, workspace: Workspace) -> None:
    """Write the state of a manifest into a marker next to it."""
    _put(_text(ticket), _marker(ticket, state), workspace)


def finish(
    ticket: Ticket, report: str | None, *, well: bool, message: str, workspace: Workspace
) -> None:
    """Copy the report, if there is one, next to the manifest, and mark it done or failed."""
    data = read_if_present(report) if report else None
    if data is not None:
        _put(data, f"{ticket.manifest}.results.csv", workspace)
    tell(replace(ticket, message=message), "done" if well else "failed", workspace)
    if well:
        delete(_marker(ticket, "failed"))


def refuse(ticket: Ticket, reasons: Iterable[str], workspace: Workspace) -> None:
    """Mark a manifest as failed, and list all its problems."""
    lines = list(reasons)
    _put(
        "".join(f"{line}\n" for line in lines).encode(), f"{ticket.manifest}.errors.txt", workspace
    )
    tell(replace(ticket, message=f"not rendered: {lines[0][:300]}"), "failed", workspace)


def _marker(ticket: Ticket, state: State) -> str:
    return f"{ticket.manifest}.{state}.json"


def _text(ticket: Ticket) -> bytes:
    return (json.dumps(asdict(ticket), indent=2) + "\n").encode()


def _parsed(data: bytes) -> Ticket | None:
    try:
        return Ticket(**json.loads(data))
    except (ValueError, TypeError):
        return None


def _put(data: bytes, uri: str, workspace: Workspace) -> None:
    with workspace.scratch_folder() as folder:
        path = Path(folder, "note")
        path.write_bytes(data)
        publish(path, uri)
