"""TensorFlow's set-up, and a small classifier that knows only band statistics."""

import hashlib

import numpy as np
import pytest

from nst_core.classifier.network import build_classifier, standardise_input
from nst_core.classifier.saving import Classifier
from nst_core.classifier.taps import feature_taps
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.spectral.mel import power_mel
from nst_core.synth.sounds import AMBIENCES, GENRES, ambience, music_piece

_ARCHITECTURE = ClassifierConfig(n_filters=24, n_layers=2)


@pytest.fixture(scope="session", autouse=True)
def tensorflow_is_set_up():
    setup_tensorflow(2)


def _mels(mel):
    sounds = [music_piece(kind, 2.0, seed=9) for kind in GENRES]
    sounds += [ambience(kind, 2.0, seed=9) for kind in AMBIENCES]
    return np.stack([power_mel(y, mel).T for y in sounds])


@pytest.fixture(scope="session")
def classifier(tensorflow_is_set_up):
    """Random convolutions behind the band statistics of the synthetic sounds."""
    mel = MelConfig()
    network = build_classifier(_ARCHITECTURE, n_mels=mel.n_mels, n_classes=len(GENRES), seed=3)
    standardise_input(network, _mels(mel))
    return Classifier(
        network=network,
        taps=feature_taps(network),
        genres=GENRES,
        mel=mel,
        sha256=hashlib.sha256(b"untrained").hexdigest(),
    )
