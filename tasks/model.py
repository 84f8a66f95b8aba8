"""The classifier a catalogue is rendered with: found, checked, and on this machine."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nst_core.config import MelConfig
from nst_core.errors import ModelError
from nst_core.runtime import setup_tensorflow
from nst_core.weights import DEFAULT_MODEL, SUFFIX, card_path, check_weights
from tasks.caching import Workspace
from tasks.files import beside, is_remote, local, read_bytes, scrub


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


def load_model(model: Model, workspace: Workspace) -> None:
    """Load a classifier into this process, where every transfer will find it.

    Raises
    ------
    ModelError
        ``model_architecture``: better once for the catalogue than once per row.
    """
    setup_tensorflow(workspace.n_threads)
    from nst_core.model import load_classifier  # noqa: PLC0415  # TensorFlow takes seconds

    found = load_classifier(model.path).mel
    if found != MelConfig():
        raise ModelError(
            f"model {model.path} was trained on {found}, catalogues are analysed with "
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
