"""A trained classifier on disk: weights, and a card beside them that says what they are.

``name.weights.h5`` holds numbers only, so that loading one runs no code of its
author's; ``name.json``, the card, holds its sha256, its architecture and how it came
to be.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras

from nst_core.cnn import FeatureTaps, build_classifier, feature_taps
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.errors import ConfigError, ModelError

DEFAULT_MODEL = Path(__file__).parent / "models" / "default.weights.h5"
"""The classifier that comes with the package; its card states licence and accuracy."""

_SUFFIX = ".weights.h5"


@dataclass(frozen=True)
class Classifier:
    """A classifier ready for use.

    Attributes
    ----------
    network
        Power mel, shape (batch, n_frames, n_mels), to logits, shape (batch, n_genres).
    taps
        Its low layers, for the transfer.
    genres
        Names in the order of the logits.
    mel
        The spectrogram it was trained on.
    sha256
        Of the weights file.
    """

    network: keras.Model
    taps: FeatureTaps
    genres: tuple[str, ...]
    mel: MelConfig
    sha256: str


def card_path(weights: Path) -> Path:
    """The card that belongs to a weights file."""
    return weights.with_name(weights.name.removesuffix(_SUFFIX) + ".json")


def save_classifier(
    network: keras.Model,
    weights: Path,
    *,
    genres: tuple[str, ...],
    architecture: ClassifierConfig,
    mel: MelConfig,
    facts: dict[str, Any],
) -> str:
    """Write weights and card; return the sha256 of the weights.

    Parameters
    ----------
    network
        Made by `nst_core.cnn.build_classifier` with `architecture`.
    weights
        Ends in ``.weights.h5``.
    genres, mel
        What the logits mean, what the input is.
    facts
        Whatever else the card should state, JSON-serialisable.
    """
    network.save_weights(weights)
    digest = _sha256(weights)
    card = {
        "weights": weights.name,
        "sha256": digest,
        "genres": genres,
        "architecture": dataclasses.asdict(architecture),
        "mel": dataclasses.asdict(mel),
        "n_parameters": network.count_params(),
        **facts,
    }
    card_path(weights).write_text(json.dumps(card, indent=2, allow_nan=False) + "\n", "utf-8")
    return digest


def load_classifier(path: Path | str = DEFAULT_MODEL) -> Classifier:
    """Load a classifier that `save_classifier` wrote.

    Parameters
    ----------
    path
        The weights file, or a folder that holds exactly one.

    Raises
    ------
    ModelError
        ``model_not_found``, ``model_card`` (missing or unreadable), ``model_checksum``
        (the weights are not those of the card) or ``model_architecture`` (weights of
        another network).
    """
    weights = _find_weights(Path(path))
    card = _read_card(weights)
    digest = _sha256(weights)
    if digest != card["sha256"]:
        raise ModelError(
            f"model {weights}: sha256 {digest} is not the {card['sha256']} of its card; the "
            "file is damaged or was exchanged, copy weights and card together again",
            code="model_checksum",
        )
    return _load(weights, digest)


@lru_cache(maxsize=2)
def _load(weights: Path, digest: str) -> Classifier:
    card = _read_card(weights)
    try:
        architecture = ClassifierConfig(**card["architecture"])
        mel = MelConfig(**card["mel"])
        genres = tuple(str(genre) for genre in card["genres"])
        network = build_classifier(architecture, n_mels=mel.n_mels, n_classes=len(genres))
        network.load_weights(weights)
    except (ConfigError, KeyError, OSError, TypeError, ValueError) as error:
        raise ModelError(
            f"model {weights}: the weights do not fit the architecture of the card "
            f"{card_path(weights).name} ({error}); use the pair one training run wrote",
            code="model_architecture",
        ) from error
    return Classifier(network, feature_taps(network), genres, mel, digest)


def _find_weights(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob(f"*{_SUFFIX}"))
        if len(found) != 1:
            raise ModelError(
                f"model folder {path} holds {len(found)} *{_SUFFIX} files, exactly 1 is "
                "needed; name the file",
                code="model_not_found",
            )
        path = found[0]
    if not path.is_file() or not path.name.endswith(_SUFFIX):
        raise ModelError(
            f"model {path} is not a *{_SUFFIX} file; train one with `amnst train`",
            code="model_not_found",
        )
    return path.resolve()


def _read_card(weights: Path) -> dict[str, Any]:
    path = card_path(weights)
    try:
        card = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"model {weights.name} has no card {path.name} beside it; the card states the "
            "sha256 and the architecture, copy both files",
            code="model_card",
        ) from None
    except ValueError as error:
        raise ModelError(f"model card {path} is not JSON ({error})", code="model_card") from None
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise ModelError(f"model card {path} states no sha256", code="model_card")
    return card


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
