"""Files of a classifier: its weights, and the card that describes them.

``name.weights.h5`` contains only numbers, so loading it cannot run code of its author.
``name.json``, the card, contains the sha256, the architecture and facts about the training.
This module checks both without TensorFlow.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_core.checksum import sha256_of
from nst_core.errors import ModelError

SUFFIX = ".weights.h5"

DEFAULT_MODEL = Path(__file__).parents[1] / "models" / f"classifier{SUFFIX}"
"""The package's own classifier; its card states licence and accuracy."""


@dataclass(frozen=True)
class WeightsFile:
    """Weights whose sha256 matches their card."""

    path: Path
    sha256: str
    card: dict[str, Any]


def card_path(weights: Path) -> Path:
    """Return the path of the card of a weights file."""
    return weights.with_name(weights.name.removesuffix(SUFFIX) + ".json")


def check_weights(path: Path | str) -> WeightsFile:
    """Find a classifier's weights and check them against their card.

    Parameters
    ----------
    path
        Weights file, or a folder that contains exactly one.

    Raises
    ------
    ModelError
        ``model_not_found``, ``model_card`` (missing or unreadable) or ``model_checksum``
        (the weights do not match the card).
    """
    weights = _find(Path(path))
    card = _read_card(weights)
    digest = sha256_of(weights)
    if digest != card["sha256"]:
        raise ModelError(
            f"model {weights}: sha256 is {digest}, but its card states {card['sha256']}; the "
            "file is damaged or was replaced; copy weights and card together again",
            code="model_checksum",
        )
    return WeightsFile(weights, digest, card)


def _find(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
        if len(found) != 1:
            raise ModelError(
                f"model folder {path} contains {len(found)} *{SUFFIX} files, but must contain "
                "exactly 1; name the file",
                code="model_not_found",
            )
        path = found[0]
    if not path.exists():
        raise ModelError(
            f"model {path} does not exist; train one with `amnst train`", code="model_not_found"
        )
    if not path.is_file() or not path.name.endswith(SUFFIX):
        raise ModelError(
            f"model {path} is not a *{SUFFIX} file; train one with `amnst train`",
            code="model_not_found",
        )
    return path.resolve()


def _read_card(weights: Path) -> dict[str, Any]:
    path = card_path(weights)
    try:
        card = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"model {weights.name} has no card {path.name} next to it; the card states the "
            "sha256 and the architecture; copy both files",
            code="model_card",
        ) from None
    except ValueError as error:
        raise ModelError(f"model card {path} is not JSON ({error})", code="model_card") from None
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise ModelError(f"model card {path} states no sha256", code="model_card")
    return card
