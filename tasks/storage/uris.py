"""Names of places: a plain path, a ``file://`` URI or an ``s3://`` URI.

URIs are plain strings without credentials, which stay in the environment of each process.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.storage.credentials import RULE, holds_login
from tasks.storage.errors import StorageError


def is_remote(uri: str) -> bool:
    """Return whether a URI is on S3; raise StorageError for an unsupported scheme."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        return False
    if scheme != "s3":
        reason = "only local paths, file:// and s3:// are supported"
        raise StorageError(uri, "use", reason, code="bad_uri")
    if "@" in rest and holds_login(uri):
        raise StorageError(f"{scheme}://***", "use", f"it {RULE}", code="bad_uri")
    return True


def local(uri: str) -> Path:
    """Return the path that a plain path or ``file://`` URI names."""
    return Path(local_text(uri))


def local_text(uri: str) -> str:
    """Return the path that a plain path or ``file://`` URI names, as text."""
    # For ten thousand files, pathlib takes as long as the disk, and it keeps every parsed name in
    # memory.
    return unquote(urlsplit(uri).path) if uri.startswith("file://") else uri


def absolute(uri: str) -> str:
    """Return a place in a form that does not depend on the current folder.

    Raise StorageError for a place that contains a login, which would later look like a folder.
    """
    if holds_login(uri):
        raise StorageError("***", "use", f"this path {RULE}", code="bad_uri")
    return uri if is_remote(uri) else str(local(uri).absolute())


def is_absent_here(uri: str) -> bool:
    """Return whether a local place does not exist for this process; buckets are not checked."""
    return not is_remote(uri) and not os.path.exists(local_text(uri))  # noqa: PTH110  # never raises


def join(root: str, *parts: str) -> str:
    """Return `root` with relative parts appended; raise StorageError if they lead out of it."""
    for part in parts:
        if part.startswith("/") or ".." in part.split("/"):
            raise StorageError(part, "use", f"it leads out of {root}", code="bad_uri")
    return "/".join([root.rstrip("/"), *parts])
