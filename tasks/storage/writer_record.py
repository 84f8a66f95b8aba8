"""Records in an output folder: which run writes here.

::

    <output>/.amnst-writer/000001.json      who writes here; replaced at every renewal

The record with the highest number counts. `tasks.storage.lease` says how a run gets and keeps it.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import NamedTuple

from tasks.storage.files import list_files, read_if_present
from tasks.storage.process import Process
from tasks.storage.uris import join

FOLDER = ".amnst-writer"
LEASE_S = 90.0
"""A run that has not renewed its record for this long loses the folder."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A run that wants to write into a folder.

    Attributes
    ----------
    run_id
        Processes of one run share its lease.
    name, url
        Name of the run, and its page in the UI, if it has one.
    shared
        Whether processes on other machines also write for the run.
    """

    run_id: str
    name: str
    url: str = ""
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Record:
    """Record of a lease's holder; `renewal` changes at every renewal."""

    writer: Writer
    host: str
    process: Process
    started: str
    lease_s: float
    renewal: str

    def to_json(self) -> bytes:
        """Return the content of the record's file."""
        return json.dumps(dataclasses.asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Record | None":
        """Read what `to_json` wrote; return None for anything else."""
        try:
            fields = json.loads(data)
            writer, process = Writer(**fields.pop("writer")), Process(**fields.pop("process"))
            return cls(writer=writer, process=process, **fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def __str__(self) -> str:
        place = self.writer.url or self.writer.run_id
        return (
            f'run "{self.writer.name}" ({place}), process {self.process.pid} on {self.host}, '
            f"since {self.started}"
        )

    def has_ended(self) -> bool:
        """Return whether it is certain that no process can write for this run."""
        return not self.writer.shared and self.process.has_ended()


class Seen(NamedTuple):
    """Record that counted when it was read."""

    uri: str
    number: int
    data: bytes
    record: Record | None

    def is_of(self, run_id: str) -> bool:
        """Return whether a run holds the lease."""
        return self.record is not None and self.record.writer.run_id == run_id

    @property
    def lease_s(self) -> float:
        """Return the seconds without a renewal after which the holder counts as dead."""
        return self.record.lease_s if self.record else LEASE_S


def look(folder_uri: str) -> Seen | None:
    """Return the record that counts, or None if there is none."""
    while records := records_in(folder_uri):
        uri, number = records[-1]
        data = read_if_present(uri)
        if data is not None:
            return Seen(uri, number, data, Record.from_json(data))
    return None


def records_in(folder_uri: str) -> list[tuple[str, int]]:
    """Return the places and numbers of the records, the highest number last."""
    found = [
        (entry.uri, int(name.group(1)))
        for entry in list_files(join(folder_uri, FOLDER))
        if (name := re.search(r"/(\d+)\.json$", entry.uri))
    ]
    return sorted(found, key=lambda each: each[1])
