"""A trained classifier, to and from its files (see `nst_core.weights`)."""

import dataclasses
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras

from nst_core.checksum import sha256_of
from nst_core.cnn import NETWORK_VERSION, build_classifier
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.errors import ConfigError, ModelError
from nst_core.taps import FeatureTaps, feature_taps
from nst_core.weights import DEFAULT_MODEL, card_path, check_weights


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
    # A compiled network saves its optimizer too, which is three times its own size.
    bare = build_classifier(architecture, n_mels=mel.n_mels, n_classes=len(genres))
    bare.set_weights(network.get_weights())
    bare.save_weights(weights)
    digest = sha256_of(weights)
    card = {
        "weights": weights.name,
        "sha256": digest,
        "genres": genres,
        "network_version": NETWORK_VERSION,
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
        As `nst_core.weights.check_weights`, and ``model_architecture`` for weights of
        another network.
    """
    found = check_weights(path)
    return _load(found.path, found.sha256, json.dumps(found.card, sort_keys=True))


@lru_cache(maxsize=2)
def _load(weights: Path, digest: str, card_json: str) -> Classifier:
    card = json.loads(card_json)
    if card.get("network_version") != NETWORK_VERSION:
        raise ModelError(
            f"model {weights}: network_version {card.get('network_version')} of its card is not "
            f"{NETWORK_VERSION}, the one this release computes; train it again",
            code="model_architecture",
        )
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
