"""TensorFlow's set-up, and a small classifier that has learned nothing but band statistics."""

import hashlib

import numpy as np
import pytest

from nst_core.cnn import INPUT_LAYER, build_classifier, feature_taps
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.mel import compress, power_mel
from nst_core.model import Classifier
from nst_core.runtime import setup_tensorflow
from nst_core.synth import AMBIENCES, GENRES, ambience, music_piece

_ARCHITECTURE = ClassifierConfig(n_filters=24, n_layers=2)


@pytest.fixture(scope="session", autouse=True)
def tensorflow_is_set_up():
    setup_tensorflow(2)


def _band_statistics(mel):
    sounds = [music_piece(kind, 2.0, seed=9) for kind in GENRES]
    sounds += [ambience(kind, 2.0, seed=9) for kind in AMBIENCES]
    u = np.concatenate([compress(power_mel(y, mel))[0] for y in sounds])
    return u.mean(axis=0), u.std(axis=0) + 0.1 * u.std()


@pytest.fixture(scope="session")
def classifier(tensorflow_is_set_up):
    """Random convolutions behind the band statistics of the synthetic sounds."""
    mel = MelConfig()
    network = build_classifier(_ARCHITECTURE, n_mels=mel.n_mels, n_classes=len(GENRES), seed=3)
    network.get_layer(INPUT_LAYER).set_statistics(*_band_statistics(mel))
    return Classifier(
        network=network,
        taps=feature_taps(network),
        genres=GENRES,
        mel=mel,
        sha256=hashlib.sha256(b"untrained").hexdigest(),
    )
