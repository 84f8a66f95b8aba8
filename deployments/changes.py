"""Changes that `amnst deploy` makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nst_core.errors import NSTError

_DONE = {"create": "created", "update": "updated", "keep": "unchanged", "remove": "removed"}
_DRY = {
    "create": "would be created",
    "update": "would be updated",
    "keep": "unchanged",
    "remove": "would be removed",
}


class DeployError(NSTError):
    """Something on the Prefect server that `amnst deploy` must not change by itself."""


@dataclass(frozen=True)
class Change:
    """Change of one object on the server; `fields` names the fields that differ."""

    kind: Literal["work pool", "deployment", "schedule", "automation"]
    name: str
    action: Literal["create", "update", "keep", "remove"]
    fields: tuple[str, ...] = ()

    def sentence(self, *, dry_run: bool = False) -> str:
        """Say what was done, or with `dry_run` what would be done."""
        what = (_DRY if dry_run else _DONE)[self.action]
        return f"{self.kind} {self.name}: {what}" + (
            f" ({', '.join(self.fields)})" if self.fields else ""
        )


def differing(desired: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the desired values that differ; the order in lists does not count."""
    return tuple(
        name for name, value in desired.items() if _sorted(value) != _sorted(found.get(name))
    )


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=repr)
    return value
