"""Keep an empty database of Prefect's server, so that it is created once and not at every start.

Prefect creates one with about a hundred migrations, which take six seconds of CPU time.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path


def copy_empty_database(folder: Path, database: Path) -> bool:
    """Copy the database that `keep_empty_database` has kept in a folder for this Prefect.

    A damaged one is removed; the digest in its name shows the damage.

    Returns
    -------
    False if there is none.
    """
    database.touch(mode=0o600)
    for kept in folder.glob(f"{_prefix()}*.db"):
        shutil.copyfile(kept, database)
        if kept.name == _name(database):
            return True
        kept.unlink(missing_ok=True)
    database.unlink()
    return False


def keep_empty_database(database: Path, folder: Path) -> None:
    """Keep a copy of a new server's database in a folder; the server may be running."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        copy = Path(name) / "copy.db"
        copy.touch(mode=0o600)
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        copy.replace(folder / _name(copy))


def _prefix() -> str:
    return f"empty-{version('prefect')}-"


def _name(database: Path) -> str:
    """Return a name with the Prefect version and a digest of the content."""
    return f"{_prefix()}{hashlib.sha256(database.read_bytes()).hexdigest()[:32]}.db"
