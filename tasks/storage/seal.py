"""Small JSON files that contain the sha256 of their own facts, so that damage is noticed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "seal"
"""Name of the field with the sha256 of all other fields."""


def sealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with their seal; raise ValueError for NaN."""
    return {**facts, SEAL: _digest(facts)}


def unsealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts without their seal; raise ValueError if it does not fit."""
    rest = {name: value for name, value in facts.items() if name != SEAL}
    if facts.get(SEAL) != _digest(rest):
        raise ValueError("its seal is missing or does not fit: the file was changed")
    return rest


def parsed(data: bytes) -> dict[str, Any]:
    """Return the JSON object in a file; raise ValueError for anything else."""
    try:
        facts = json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(facts, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # as for other damage
    return facts


def _refuse(constant: str) -> None:
    raise ValueError(f"it contains {constant}")


def _digest(facts: Mapping[str, Any]) -> str:
    try:
        canonical = json.dumps(facts, sort_keys=True, allow_nan=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
