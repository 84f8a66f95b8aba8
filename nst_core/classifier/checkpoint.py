"""Checkpoints of a training, so that an interrupted one goes on after its last whole epoch."""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nst_core.checksum import sha256_of
from nst_core.classifier.weights import SUFFIX

_STATE, _BEST, _HISTORY = "state.npz", f"best{SUFFIX}", "history.json"


class Checkpoint:
    """Checkpoint in a folder: variables of network and optimiser, best weights, history.

    A new state gets its name only when it is complete. A damaged state counts as none.

    Parameters
    ----------
    folder
        Folder of this training alone; None keeps no checkpoint.
    network
        Compiled network.
    best
        File with the best weights, if there is one yet.
    """

    def __init__(self, folder: Path | None, network: keras.Model, best: Path) -> None:
        self._folder, self._network, self._best = folder, network, best
        self._next: Path | None = None

    def restore(self) -> list[dict[str, Any]]:
        """Load the last state; return the records of its epochs, or none if it starts anew."""
        states = sorted(self._folder.glob("epoch-*")) if self._folder else []
        if not states:
            return []
        self._network.optimizer.build(self._network.trainable_variables)
        try:
            found = json.loads((states[-1] / _HISTORY).read_text("utf-8"))
            for name, digest in found["sha256"].items():
                if sha256_of(states[-1] / name) != digest:
                    return []
            history: list[dict[str, Any]] = found["epochs"]
            self._load(states[-1] / _STATE)
            if _BEST in found["sha256"]:
                shutil.copyfile(states[-1] / _BEST, self._best)
        except (OSError, ValueError, KeyError, AttributeError):
            return []
        return history

    def save_variables(self) -> None:
        """Write all variables of a finished epoch, before its mean weights are put in."""
        if self._folder:
            self._next = self._folder / f".tmp-{uuid.uuid4().hex}"
            self._next.mkdir(parents=True)
            arrays = [keras.ops.convert_to_numpy(each) for each in self._variables()]
            np.savez(self._next / _STATE, *arrays)

    def finish(self, history: list[dict[str, Any]]) -> None:
        """Complete the state with the records of all epochs so far, and remove older states."""
        if self._folder is None or self._next is None:
            return
        if self._best.is_file():
            shutil.copyfile(self._best, self._next / _BEST)
        digests = {path.name: sha256_of(path) for path in self._next.iterdir()}
        text = json.dumps({"epochs": history, "sha256": digests})
        (self._next / _HISTORY).write_text(text, "utf-8")
        state = self._next.rename(self._folder / f"epoch-{len(history):06d}")
        for other in self._folder.iterdir():
            if other != state:
                shutil.rmtree(other, ignore_errors=True)

    def _variables(self) -> list[keras.Variable]:
        # Weights files lack the seeds of dropout.
        of_layers = [each for layer in self._network.layers for each in layer.variables]
        return [*of_layers, *self._network.optimizer.variables]

    def _load(self, state: Path) -> None:
        with np.load(state, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
        variables = self._variables()
        if [each.shape for each in arrays] != [tuple(each.shape) for each in variables]:
            raise ValueError("the checkpoint belongs to another network")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
