"""What a local file holds, as one number: its name in records, cards and keys."""

import hashlib
from pathlib import Path


def sha256_of(path: str | Path) -> str:
    """The sha256 of a local file, in hexadecimal."""
    # Where ten thousand files are hashed, pathlib would take as long as the disk.
    with open(path, "rb") as stream:  # noqa: PTH123
        return hashlib.file_digest(stream, "sha256").hexdigest()
