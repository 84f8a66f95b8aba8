"""Rows of a shard in their own file, so that a shard does not read the whole manifest.

::

    runs/<run id>/shard-000000-<sha256>.rows    written once, when the shard is started

Each line is a checked row as JSON. The name contains the first half of the content's sha256: if
the catalogue is cut again from another manifest, it writes another file, and a shard of the
earlier cut still finds its own.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.manifest.row import ROW, ManifestRow
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import publish, read_bytes


@dataclass(frozen=True)
class ShardRows:
    """Place of a shard's rows in the store, and the sha256 of the file."""

    run_id: str
    name: str
    sha256: str

    def uri(self, workspace: Workspace) -> str:
        """Return the URI of the file."""
        return workspace.run_file(self.run_id, f"{self.name}-{self.sha256[:32]}.rows")


def rows_sha256(rows: Sequence[ManifestRow]) -> str:
    """Return the sha256 of the file that `write_rows` writes."""
    return hashlib.sha256(_lines(rows)).hexdigest()


def write_rows(rows: Sequence[ManifestRow], place: ShardRows, workspace: Workspace) -> None:
    """Write the rows of a shard to the store."""
    with workspace.scratch_folder() as folder:
        path = folder / "rows"
        path.write_bytes(_lines(rows))
        publish(path, place.uri(workspace))


def read_rows(place: ShardRows, workspace: Workspace) -> list[ManifestRow]:
    """Read the rows that `write_rows` wrote.

    Raises
    ------
    StorageError
        ``not_found`` if the file was deleted, ``bad_rows`` if its content has changed.
    """
    uri = place.uri(workspace)
    try:
        data = read_bytes(uri)
    except StorageError as error:
        if error.code != "not_found":
            raise
        reason = "the rows of this shard were deleted; retry the run of its catalogue"
        raise StorageError(uri, "read", reason, code="not_found") from None
    found = hashlib.sha256(data).hexdigest()
    if found != place.sha256:
        raise StorageError(
            uri,
            "read",
            f"the sha256 is {found}, expected {place.sha256}; retry the run of the catalogue, "
            "which writes the rows again",
            code="bad_rows",
        )
    return [ROW.validate_json(line) for line in data.splitlines()]


def _lines(rows: Sequence[ManifestRow]) -> bytes:
    return b"".join(ROW.dump_json(row, exclude_defaults=True) + b"\n" for row in rows)
