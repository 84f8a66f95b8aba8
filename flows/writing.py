"""Hold a run's output folder while the run writes into it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from flows.batch import Batch
from flows.server.prefect_internals import url_for
from tasks.running.retry import patiently
from tasks.storage.lease import Lease, hold
from tasks.storage.writer_record import Writer

T = TypeVar("T")
B = TypeVar("B", bound=Batch)


@contextmanager
def writing(batch: B, run_id: str, *, shared: bool) -> Iterator[tuple[B, Lease]]:
    """Yield a batch that may write into its output folder, and the lease on that folder.

    Parameters
    ----------
    batch
        Rows to render.
    run_id
        Id of the catalogue's run, whose lease its shards share.
    shared
        Whether other processes also write for this run.

    Raises
    ------
    StorageError
        ``output_in_use`` if another run writes there.
    """
    request = batch.request
    url = url_for("flow-run", obj_id=run_id) or ""
    writer = Writer(run_id=run_id, name=request.title, url=url, shared=shared)
    with hold(request.output, writer) as lease:
        yield replace(batch, claim=lease.claim), lease


def while_held(items: Iterable[T], batch: Batch) -> Iterator[T]:
    """Yield items while the run has its folder; raise StorageError ``lease_lost`` if it lost it."""
    for item in items:
        if batch.claim:
            patiently(batch.claim.check)
        yield item
