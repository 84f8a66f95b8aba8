"""Small classifiers for tests, of both kinds, and test sounds."""

import dataclasses

import keras
import numpy as np

from nst_core.classifier.network import build_classifier, standardise_input
from nst_core.config import ClassifierConfig, MelConfig, TransferConfig
from nst_core.spectral.mel import power_mel
from nst_core.synth.sounds import ambience, music_piece

SMALL = {
    "1d": ClassifierConfig(kind="1d", n_filters=16, n_layers=3),
    "2d": ClassifierConfig(kind="2d", n_filters=4, n_layers=3),
}


def two_sounds():
    """A tune and a fire, shape (2, n_frames, n_mels)."""
    sounds = music_piece("folk", 0.8, seed=0), ambience("fire", 0.8, seed=0)
    return np.stack([power_mel(y, MelConfig()).T for y in sounds])


def build(kind, seed=0, **changes):
    config = dataclasses.replace(SMALL[kind], **changes)
    return build_classifier(config, n_mels=384, n_classes=3, seed=seed)


def trained_a_little(kind, M, **changes):
    """Four steps move the batch normalisation's figures away from 0 and 1."""
    network = build(kind, **changes)
    standardise_input(network, M)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    network.compile(
        keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    for _ in range(4):
        network.train_on_batch(M, np.array([0, 1]))
    return network


FEW_STEPS = TransferConfig(n_iterations=4)
"""The classifier's descent, short."""
