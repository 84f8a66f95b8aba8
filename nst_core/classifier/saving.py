"""Saving and loading of a trained classifier (see `nst_core.classifier.weights`)."""

import dataclasses
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras

from nst_core.checksum import sha256_of
from nst_core.classifier.network import NETWORK_VERSION, build_classifier
from nst_core.classifier.taps import FeatureTaps, feature_taps
from nst_core.classifier.weights import DEFAULT_MODEL, card_path, check_weights
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.errors import ConfigError, ModelError


@dataclass(frozen=True)
class Classifier:
    """Classifier ready for use.

    Attributes
    ----------
    network
        Network from power mel, shape (batch, n_frames, n_mels), to logits, shape (batch, n_genres).
    taps
        Low layers of the network, for the transfer.
    genres
        Names in the order of the logits.
    mel
        Spectrogram settings of the training data.
    sha256
        Hash of the weights file.
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
        Network made by `nst_core.classifier.network.build_classifier` with `architecture`.
    weights
        Path that ends in ``.weights.h5``.
    genres, mel
        Names in the order of the logits, and spectrogram settings of the input.
    facts
        Further facts for the card, JSON-serialisable.
    """
    # A compiled network also saves its optimizer, which is three times as large as the network.
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
        Weights file, or a folder that contains exactly one.

    Raises
    ------
    ModelError
        As in `nst_core.classifier.weights.check_weights`; ``model_architecture``: the weights
        belong to another network.
    """
    found = check_weights(path)
    return _load(found.path, found.sha256, json.dumps(found.card, sort_keys=True))


@lru_cache(maxsize=2)
def _load(weights: Path, digest: str, card_json: str) -> Classifier:
    card = json.loads(card_json)
    if card.get("network_version") != NETWORK_VERSION:
        raise ModelError(
            f"model {weights}: its card has network_version {card.get('network_version')}, but "
            f"this release needs {NETWORK_VERSION}; train it again",
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
            f"{card_path(weights).name} ({error}); use weights and card of the same training run",
            code="model_architecture",
        ) from error
    return Classifier(network, feature_taps(network), genres, mel, digest)
