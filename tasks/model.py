"""The classifier a catalogue is rendered with: found, checked, and on this machine."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nst_core.weights import DEFAULT_MODEL, card_path, check_weights
from tasks.caching import Workspace
from tasks.store import is_remote, local, read_bytes


@dataclass(frozen=True)
class Model:
    """A checked classifier: a local path, and the sha256 that decides results."""

    path: str
    sha256: str


def fetch_model(uri: str | None, workspace: Workspace) -> Model:
    """Return the classifier at a path or URI, by default the package's own.

    Raises
    ------
    ModelError
        When weights and card are not a pair.
    StorageError
        When they cannot be fetched.
    """
    path = _fetched(uri, workspace) if uri and is_remote(uri) else local(uri or str(DEFAULT_MODEL))
    found = check_weights(path)
    return Model(str(found.path), found.sha256)


def _fetched(uri: str, workspace: Workspace) -> Path:
    name = hashlib.sha256(uri.encode()).hexdigest()[:16]
    folder = workspace.scratch_root() / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / PurePosixPath(uri).name
    card = card_path(weights)
    card.write_bytes(read_bytes(uri.removesuffix(weights.name) + card.name))
    weights.write_bytes(read_bytes(uri))
    return weights
