"""Key of a listening test: which sound is which. Listeners must not see it."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.panel.errors import PanelError
from tasks.storage.files import read_if_present

Name = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""Random name of a pair or a sound."""


class KeyPair(BaseModel):
    """A pair: its inputs, and the condition of each sound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pair: Name
    id: str
    ambience: str
    music: str
    sounds: dict[Name, str]


class Key(BaseModel):
    """Whole key; `conditions` has the name for people of every condition."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["amnst-panel-key"] = "amnst-panel-key"
    version: Literal[1] = 1
    panel: Name
    made_at: str
    algorithm_version: int
    loudness_lufs: float
    licence: str
    conditions: dict[str, str]
    pairs: tuple[KeyPair, ...] = Field(min_length=1)


def read_key(place: str) -> Key:
    """Read the key of a listening test.

    Raises
    ------
    PanelError
        ``no_key``: there is no such file; ``bad_key``: it is no key, or damaged.
    StorageError
        It cannot be read.
    """
    data = read_if_present(place)
    if data is None:
        raise PanelError(
            f"{place}: there is no such file; name the key.json that was written beside the page "
            "with --key",
            code="no_key",
        )
    try:
        key = Key.model_validate_json(data)
    except ValidationError:
        raise PanelError(
            f"{place}: is not the key of a listening test; name the key.json that "
            "`amnst panel` wrote beside the page",
            code="bad_key",
        ) from None
    if any(set(pair.sounds.values()) != set(key.conditions) for pair in key.pairs):
        raise PanelError(
            f"{place}: a pair lacks a condition, so the key was changed; take the key.json that "
            "`amnst panel` wrote",
            code="bad_key",
        )
    return key


def key_text(key: Key) -> str:
    """Return the text of a key file."""
    return json.dumps(key.model_dump(), indent=1, ensure_ascii=False) + "\n"
