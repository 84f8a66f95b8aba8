"""One error, which names the place, for all failures of a disk or an S3 server."""

import contextlib
from collections.abc import Iterator

from nst_core.errors import NSTError
from tasks.storage import s3
from tasks.storage.credentials import scrub


class StorageError(NSTError):
    """A file could not be read or written.

    Parameters
    ----------
    uri, operation, reason
        Place, attempted operation and reason of the failure; secrets are removed.
    code
        ``storage``, ``not_found``, ``corrupt_artefact`` or ``bad_uri``.
    transient
        Whether the same call may succeed later: connections, timeouts, busy servers.
    """

    def __init__(
        self,
        uri: str,
        operation: str,
        reason: str,
        *,
        code: str = "storage",
        transient: bool = False,
    ) -> None:
        self.uri, self.operation, self.reason = scrub(uri), operation, scrub(reason)
        super().__init__(f"{self.uri}: cannot {operation}: {self.reason}", code=code)
        self.transient = transient


class LostArtefactError(StorageError):
    """A stored result was deleted or damaged; the store has forgotten it, so it is made again."""


@contextlib.contextmanager
def reported(uri: str, operation: str) -> Iterator[None]:
    """Turn the errors of a disk or server into a StorageError."""
    try:
        yield
    except s3.failures() as error:
        raise StorageError(
            uri,
            operation,
            getattr(error, "strerror", None) or str(error) or type(error).__name__,
            code="not_found" if isinstance(error, FileNotFoundError) else "storage",
            transient=s3.is_passing(error),
        ) from error
