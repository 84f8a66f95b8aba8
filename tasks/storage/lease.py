"""Allow only one writer per output folder, by a lease that the writer's run must renew.

A record (`tasks.storage.writer_record`) is created and never overwrites another one, so only one of
several runs gets the folder. A run takes over from a dead run by creating the next number. A writer
checks the record before each file that it publishes, so a writer that was frozen until its lease
expired notices the loss.

A run counts as dead if its record does not change for the duration of the lease, measured by the
run that wants the folder. Clocks of machines differ by minutes and some servers' time stamps are
wrong, so neither is trusted. A run whose only process was on this machine is dead as soon as that
process has ended.

If a server ignores If-None-Match, the last of two records counts: its writer continues, and the
other one notices at its next check. A check cannot prevent one upload to S3 that had begun when
its writer was frozen.
"""

import contextlib
import logging
import random
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread

from tasks.running.retry import patiently
from tasks.storage.errors import StorageError
from tasks.storage.files import (
    create,
    delete,
    describe,
    read_if_present,
    remove_empty_folder,
    write_bytes,
)
from tasks.storage.process import this_process
from tasks.storage.uris import is_remote, join
from tasks.storage.writer_record import (
    FOLDER,
    LEASE_S,
    Record,
    Seen,
    Writer,
    look,
    records_in,
)

logger = logging.getLogger(__name__)

_RENEWALS = 4.5
"""Renewals per lease, so that three may fail."""
_LOOKS = 45
"""Checks of another run's record per lease."""
_SETTLE_S = 1.0
"""Time after which a server that ignores If-None-Match shows the last of several records."""


@dataclass(frozen=True)
class Claim:
    """A run's claim to be the only writer of a folder."""

    folder_uri: str
    run_id: str

    def check(self) -> None:
        """Check the lease; raise StorageError ``lease_lost`` if the run does not have it."""
        seen = look(self.folder_uri)
        if seen is None or not seen.is_of(self.run_id):
            taken = f"{seen.record} has it" if seen and seen.record else "its record is gone"
            raise StorageError(
                self.folder_uri,
                "write",
                f"this run did not renew its lease in time and has lost the folder: {taken}. It "
                "writes nothing more; start it again when no other run writes here",
                code="lease_lost",
            )


class Lease:
    """Lease of a folder for a run; made by `hold`."""

    def __init__(self, folder_uri: str, writer: Writer, lease_s: float) -> None:
        self.claim = Claim(folder_uri, writer.run_id)
        self._folder_uri, self._writer, self._lease_s = folder_uri, writer, lease_s
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._last = b""
        self._others_seen_at = float("-inf")
        self._is_last = False

    def forget_others(self) -> None:
        """Treat all other processes of the run as ended, whatever they wrote last."""
        self._is_last = True

    def take(self) -> None:
        """Take the folder, or join our run's lease; raise StorageError ``output_in_use``."""
        while True:
            seen = look(self._folder_uri)
            if seen is None:
                taken = self._create(1)
            elif seen.is_of(self._writer.run_id):
                self._others_seen_at = time.monotonic()
                self._write(seen.uri)
                taken = True
            else:
                taken = self._outlives(seen) and self._create(seen.number + 1, over=seen)
            if taken:
                return
            time.sleep(random.uniform(0, 0.1))  # noqa: S311  # keeps two runs from staying in step

    def renew_until(self, stop: Event) -> None:
        """Renew the record regularly, until the lease is lost or `stop` is set."""
        while not stop.wait(self._lease_s / _RENEWALS):
            try:
                if not self._renew():
                    return
            except StorageError as error:
                logger.warning("could not renew the lease: %s", error)

    def leave(self) -> None:
        """Remove the record, unless other processes of the run need it; then let it expire."""
        seen = self._own()
        unseen_s = time.monotonic() - self._others_seen_at
        if seen and (self._is_last or unseen_s > self._lease_s):
            for uri, number in records_in(self._folder_uri):
                if number <= seen.number:
                    delete(uri)
            remove_empty_folder(join(self._folder_uri, FOLDER))

    def _renew(self) -> bool:
        seen = self._own()
        if seen:
            self._write(seen.uri)
        return seen is not None

    def _own(self) -> Seen | None:
        """Return the record if it is this run's; note whether another process has written it."""
        seen = look(self._folder_uri)
        if seen is None or not seen.is_of(self._writer.run_id):
            return None
        if seen.data != self._last:
            self._others_seen_at = time.monotonic()
        return seen

    def _create(self, number: int, *, over: Seen | None = None) -> bool:
        """Try to create the record of a number; return False if another run was faster."""
        uri, data = join(self._folder_uri, FOLDER, f"{number:06d}.json"), self._data()
        try:
            if not create(uri, data):
                return False
        except StorageError as error:
            if error.code != "not_found":
                raise
            return False  # a run that has ended has just removed the empty folder
        if is_remote(uri):
            time.sleep(_SETTLE_S)
        # A slow run may create its number after the record that it saw has been replaced and
        # another run has taken the folder.
        is_ours = (seen := look(self._folder_uri)) is not None and seen.data == data
        is_as_seen = over is None or read_if_present(over.uri) in {None, over.data}
        if is_ours and is_as_seen:
            for other, other_number in records_in(self._folder_uri):
                if other_number < number:
                    delete(other)
            self._last = data
            return True
        if read_if_present(uri) == data:
            delete(uri)
        return False

    def _write(self, uri: str) -> None:
        data = self._data()
        write_bytes(uri, data)
        self._last = data

    def _data(self) -> bytes:
        return Record(
            writer=self._writer,
            host=socket.gethostname(),
            process=this_process(),
            started=self._started,
            lease_s=self._lease_s,
            renewal=uuid.uuid4().hex,
        ).to_json()

    def _outlives(self, seen: Seen) -> bool:
        """Wait while another run's record stays the same; return whether it has expired."""
        if seen.record and seen.record.has_ended():
            return True
        if _is_at_work_here(seen):
            raise self._in_use(seen)
        logger.warning(
            "%s: %s may be dead; waiting up to %.0f s to find out",
            self._folder_uri,
            seen.record or "the writer",
            seen.lease_s,
        )
        give_up = time.monotonic() + seen.lease_s
        while time.monotonic() < give_up:
            time.sleep(seen.lease_s / _LOOKS)
            now = look(self._folder_uri)
            if now is None or now.is_of(self._writer.run_id):
                return False
            if now.data != seen.data:
                raise self._in_use(now)
        return True

    def _in_use(self, seen: Seen) -> StorageError:
        return StorageError(
            self._folder_uri,
            "write",
            f"{seen.record or 'another run'} writes here; choose another folder with --output, "
            "wait for that run to end, or stop it",
            code="output_in_use",
        )


@contextlib.contextmanager
def hold(folder_uri: str, writer: Writer, *, lease_s: float | None = None) -> Iterator[Lease]:
    """Hold an output folder for a run.

    Parameters
    ----------
    folder_uri
        Folder or ``s3://`` prefix.
    writer
        Run that wants the folder. Processes of the same run share the lease.
    lease_s
        Seconds without a renewal after which another run may take the folder; by default
        `LEASE_S`.

    Raises
    ------
    StorageError
        ``output_in_use`` if another run has the folder and is alive. Finding out that it is dead
        may take as long as its lease.
    """
    lease = Lease(folder_uri, writer, LEASE_S if lease_s is None else lease_s)
    patiently(lease.take)
    stop = Event()
    renewing = Thread(target=lease.renew_until, args=(stop,), name="amnst-lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        stop.set()
        renewing.join()  # a late renewal would write the record again
        try:
            lease.leave()
        except StorageError as error:
            logger.warning("could not remove the lease; it will expire: %s", error)


def _is_at_work_here(seen: Seen) -> bool:
    """Return whether the holder is a process on this machine that renewed its record recently."""
    if seen.record is None or not seen.record.process.is_here():
        return False
    found = describe(seen.uri)
    return found is not None and time.time() - (found.modified_s or 0.0) < seen.lease_s
