"""A small classifier on disk, for tests that need one."""

import warnings
from pathlib import Path

import numpy as np

from nst_core.config import ClassifierConfig, MelConfig
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.spectral.mel import power_mel
from nst_core.synth.sounds import GENRES, music_piece


def save_small_classifier(folder: Path, *, seed: int, standardised: bool) -> Path:
    """Write a classifier with random weights to a folder; return the folder.

    Parameters
    ----------
    seed
        Of the weights.
    standardised
        Standardise its input with the bands of some music, so that its features differ.
    """
    setup_tensorflow(2)
    # They import TensorFlow, which many tests do not need.
    from nst_core.classifier.network import build_classifier, standardise_input
    from nst_core.classifier.saving import save_classifier

    small, mel = ClassifierConfig(n_filters=16, n_layers=1), MelConfig()
    network = build_classifier(small, n_mels=mel.n_mels, n_classes=len(GENRES), seed=seed)
    if standardised:
        sounds = [music_piece(genre, 2.0, seed=9) for genre in GENRES]
        standardise_input(network, np.stack([power_mel(y, mel).T for y in sounds]))
    weights = folder / "small.weights.h5"
    with warnings.catch_warnings():
        # Keras and NumPy 2 disagree on how an array is copied.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        save_classifier(network, weights, genres=GENRES, architecture=small, mel=mel, facts={})
    return folder
