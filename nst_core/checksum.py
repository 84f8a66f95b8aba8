"""Hash of a local file's content, which identifies it in records, cards and keys."""

import hashlib
from pathlib import Path


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a local file, in hexadecimal."""
    # For ten thousand files, pathlib would take as long as the disk.
    with open(path, "rb") as stream:  # noqa: PTH123
        return hashlib.file_digest(stream, "sha256").hexdigest()
