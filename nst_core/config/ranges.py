"""Checks of configuration values: ranges, whole numbers, choices."""

import dataclasses
from dataclasses import field
from typing import Any

from nst_core.errors import ConfigError


def _refusal(config: object, name: str, rule: str) -> ConfigError:
    """Return the error that names a field, its value and the rule that it breaks."""
    value = getattr(config, name)
    return ConfigError(f"{type(config).__name__}.{name} = {value!r} {rule}", rule=rule)


def check(config: object, name: str, low: float, high: float) -> None:
    """Raise ConfigError for a number outside its range."""
    value = getattr(config, name)
    if isinstance(value, bool) or not (isinstance(value, int | float) and low <= value <= high):
        raise _refusal(config, name, f"is outside {low:g}..{high:g}")


def check_count(config: object, name: str, low: int, high: int) -> None:
    """Raise ConfigError for a number that is outside its range or not whole."""
    check(config, name, low, high)
    if not isinstance(getattr(config, name), int):
        raise _refusal(config, name, "is not a whole number")


def check_hop(config: object, n_fft: str, hop_length: str) -> None:
    """Raise ConfigError for a hop that exceeds half its window or does not divide it."""
    check(config, hop_length, 1, getattr(config, n_fft) // 2)
    if getattr(config, n_fft) % getattr(config, hop_length):
        rule = f"does not divide {n_fft} = {getattr(config, n_fft)}"
        raise _refusal(config, hop_length, rule)


def check_choice(config: object, name: str, choices: tuple[str, ...]) -> None:
    """Raise ConfigError for a value that is not among the choices."""
    if getattr(config, name) not in choices:
        raise _refusal(config, name, f"is not one of {', '.join(choices)}")


def within(
    default: float | None,
    low: float,
    high: float,
    *,
    title: str | None = None,
    help: str | None = None,  # noqa: A002
) -> Any:
    """Return a dataclass field with a range, which `check_ranges` and the forms use.

    Parameters
    ----------
    default
        If it is None, None is allowed. Only whole numbers are allowed for a field of type int.
    low, high
        Bounds, both inclusive.
    title, help
        Texts for the forms; not needed for a field that no form shows.
    """
    words = {"title": title, "description": help} if title else {}
    return field(default=default, metadata={"ge": low, "le": high, **words})


def check_ranges(config: Any) -> None:
    """Check every field that `within` has created."""
    for each in dataclasses.fields(config):
        if "ge" in each.metadata and getattr(config, each.name) is not None:
            check_one = check_count if each.type in (int, int | None) else check
            check_one(config, each.name, each.metadata["ge"], each.metadata["le"])
