"""Fetch and check the classifier of a catalogue, and load it on this machine."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nst_core.classifier.weights import DEFAULT_MODEL, SUFFIX, card_path, check_weights
from nst_core.config import MelConfig
from nst_core.errors import ModelError
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from tasks.running.workspace import Workspace
from tasks.storage.credentials import scrub
from tasks.storage.files import read_bytes
from tasks.storage.places import beside
from tasks.storage.uris import is_remote, local


@dataclass(frozen=True)
class Model:
    """Checked classifier: its local path, and the sha256 that is part of the cache keys."""

    path: str
    sha256: str


def fetch_model(uri: str | None, workspace: Workspace) -> Model:
    """Return the classifier at a path or URI, by default the package's own.

    Raises
    ------
    ModelError
        Weights and card do not belong together.
    StorageError
        They cannot be fetched.
    """
    path = _fetched(uri, workspace) if uri and is_remote(uri) else local(uri or str(DEFAULT_MODEL))
    found = check_weights(path)
    return Model(str(found.path), found.sha256)


def load_model(model: Model, workspace: Workspace) -> None:
    """Load a classifier into this process, where every transfer will use it.

    Raises
    ------
    ModelError
        ``model_architecture``; raised once for the catalogue instead of once per row.
    """
    setup_tensorflow(workspace.n_threads)
    from nst_core.classifier.saving import load_classifier  # noqa: PLC0415  # TensorFlow takes seconds

    found = load_classifier(model.path).mel
    if found != MelConfig():
        raise ModelError(
            f"model {model.path} was trained on {found}, but catalogues are analysed with "
            f"{MelConfig()}; train one with `amnst train`",
            code="model_architecture",
        )


def _fetched(uri: str, workspace: Workspace) -> Path:
    if not uri.endswith(SUFFIX):
        raise ModelError(
            f"model {scrub(uri)} is not a *{SUFFIX} file; name the file, not its folder",
            code="model_not_found",
        )
    name = hashlib.sha256(uri.encode()).hexdigest()[:16]
    folder = workspace.scratch_root() / "models" / name
    weights = folder / PurePosixPath(uri).name
    card = card_path(weights)
    for path in (weights, card):
        with beside(path) as temporary:
            temporary.write_bytes(read_bytes(uri.removesuffix(weights.name) + path.name))
            temporary.replace(path)
    return weights
