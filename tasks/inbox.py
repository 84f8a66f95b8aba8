"""An inbox: manifests that somebody drops, each rendered once, its fate told beside it.

::

    songs.csv                  as it was dropped
    songs.csv.started.json     claimed: create-only, so of two watchers one starts it
    songs.csv.done.json        or .failed.json: how it ended
    songs.csv.results.csv      the report of the rows
    songs.csv.errors.txt       what is wrong with a manifest that cannot be rendered

The manifest stays where it is: its relative paths start there, and a retry reads it
again. One that is changed is a new one.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.caching import Workspace
from tasks.files import (
    Entry,
    create,
    delete,
    list_files,
    publish,
    read_bytes,
    read_if_present,
)

State = Literal["started", "done", "failed"]
_STATES: tuple[State, ...] = ("done", "failed", "started")
"""The first that is told counts."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A dropped manifest, and what has become of it.

    Attributes
    ----------
    manifest
        Path or URI.
    sha256
        Of its bytes: of another content it is another manifest.
    run_id
        Flow run that renders it; empty while nobody does.
    message
        What its end was.
    """

    manifest: str
    sha256: str
    run_id: str = ""
    message: str = ""

    @property
    def idempotency_key(self) -> str:
        """One run per manifest and content, however often it is asked for."""
        place = hashlib.sha256(self.manifest.encode()).hexdigest()[:16]
        return f"manifest:{place}:{self.sha256}"


def dropped(inbox: str, *, now_s: float, settle_s: float) -> list[Entry]:
    """The manifests of a folder or prefix that have not changed for `settle_s` seconds."""
    return [
        entry
        for entry in list_files(inbox)
        if entry.uri.lower().endswith(".csv")
        and not entry.uri.lower().endswith(".csv.results.csv")
        and now_s - (entry.modified_s or 0.0) >= settle_s
    ]


def ticket_of(manifest: str) -> Ticket:
    """A fresh ticket of a manifest as it is now."""
    return Ticket(manifest=manifest, sha256=hashlib.sha256(read_bytes(manifest)).hexdigest())


def state_of(ticket: Ticket) -> tuple[State | None, Ticket]:
    """How far a manifest is, and its ticket as last written; None for one nobody has begun.

    What is told of another content counts for nothing.
    """
    for state in _STATES:
        data = read_if_present(_marker(ticket, state))
        found = _parsed(data) if data else None
        if found and found.sha256 == ticket.sha256:
            return state, found
    return None, ticket


def claim(ticket: Ticket) -> bool:
    """Take a manifest; of all who try at once, one is told True."""
    stale = read_if_present(_marker(ticket, "started"))
    if stale and ((found := _parsed(stale)) is None or found.sha256 != ticket.sha256):
        for state in _STATES:
            delete(_marker(ticket, state))
    return create(_marker(ticket, "started"), _text(ticket))


def tell(ticket: Ticket, state: State, workspace: Workspace) -> None:
    """Say beside the manifest how far it is."""
    _put(_text(ticket), _marker(ticket, state), workspace)


def finish(
    ticket: Ticket, report: str | None, *, well: bool, message: str, workspace: Workspace
) -> None:
    """Lay the report beside the manifest, if there is one, and mark it done or failed."""
    data = read_if_present(report) if report else None
    if data is not None:
        _put(data, f"{ticket.manifest}.results.csv", workspace)
    tell(replace(ticket, message=message), "done" if well else "failed", workspace)
    if well:
        delete(_marker(ticket, "failed"))


def refuse(ticket: Ticket, reasons: Iterable[str], workspace: Workspace) -> None:
    """Mark a manifest as one that cannot be rendered, and say all that is wrong with it."""
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
