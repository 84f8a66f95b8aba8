"""Keys of cached results: a key is a hash of everything that decides a result's bytes."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Job(Protocol):
    """Job of a cached stage."""

    @property
    def stage(self) -> str:
        """Name of the stage."""

    @property
    def key(self) -> str:
        """Hash of everything that decides the result's bytes."""


class ResultKey(NamedTuple):
    """Name of one result in the store."""

    stage: str
    key: str


def parameters(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration dataclass as JSON values, for a key."""
    # dataclasses.asdict makes deep copies, which takes half the time of a check of finished rows.
    names = (field.name for field in dataclasses.fields(config))
    return {name: _plain(getattr(config, name)) for name in names}


def _plain(value: Any) -> Any:
    return parameters(value) if dataclasses.is_dataclass(value) else value


def artefact_key(
    stage: str, version: str | int, parameters: Mapping[str, Any], inputs: Sequence[str]
) -> str:
    """Return the sha256 that names a result: a hash of what decides its bytes.

    Parameters
    ----------
    stage, version
        The stage's name and the version of its algorithm.
    parameters
        JSON values that change the bytes; never a time, path or row id. NaN raises ValueError.
    inputs
        The sha256 of each input, in the stage's own order.
    """
    identity = {
        "stage": stage,
        "version": version,
        "parameters": dict(parameters),
        "inputs": list(inputs),
    }
    canonical = json.dumps(identity, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
