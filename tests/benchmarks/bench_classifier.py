"""Our classifier and the original project's, on the same folds; accuracy, time, size.

Emotify is split by artist, GTZAN-mini by track (it names no artists). The original network is
slow, so it is trained on the first fold only, with fewer epochs than its author's 30.
"""

import dataclasses
import time
from pathlib import Path

import keras
import numpy as np

from nst_core.classifier.dataset import SegmentSet, analyse_segments, cut_tracks
from nst_core.classifier.evaluation import evaluate_classifier
from nst_core.classifier.genres import index_genres
from nst_core.classifier.network import CompressedMel
from nst_core.classifier.splits import Split, k_folds, split_tracks
from nst_core.classifier.training import train_classifier
from nst_core.config import ClassifierConfig, MelConfig, SegmentConfig, TrainingConfig
from nst_core.runtime.tensorflow_setup import setup_tensorflow

N_THREADS = 2
N_FOLDS = 5
FOLD_SEEDS = (0, 1)
"""The split is repeated: one draw of 5 folds moves the mean by several points."""
ORIGINAL_EPOCHS = 3
ORIGINAL_BATCH = 32


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    emotify = _segments(data / "genres" / "emotify")
    results = {"emotify, by artist": _cross_validate(emotify, "emotify, by artist")}
    results["original"] = _original(emotify)
    mini = _segments(data / "genres" / "gtzan_mini")
    results["gtzan-mini, by track"] = _cross_validate(mini, "gtzan-mini, by track")
    return results


def _segments(folder: Path) -> SegmentSet:
    mel = MelConfig()
    cut = cut_tracks(index_genres(folder), mel.sr, SegmentConfig(), n_threads=N_THREADS)
    return analyse_segments(cut, mel, n_threads=N_THREADS)


def _folds(data: SegmentSet, config: TrainingConfig) -> list[tuple[Split, Split]]:
    """Return the training tracks and, as validation, the test tracks of each fold of each draw."""
    return [
        (split_tracks(fold.train, validation_share=config.validation_share, seed=config.seed), fold)
        for seed in FOLD_SEEDS
        for fold in k_folds(data.tracks, N_FOLDS, seed)
    ]


def _cross_validate(data: SegmentSet, title: str) -> dict:
    config, folds = TrainingConfig(), []
    for number, (split, fold) in enumerate(_folds(data, config)):
        # A seed per fold: the figure must not depend on one set of initial weights.
        seeded = dataclasses.replace(config, seed=number)
        started = time.perf_counter()
        trained = train_classifier(data, split, ClassifierConfig(), seeded)
        seconds = time.perf_counter() - started
        result = evaluate_classifier(trained.network, data, fold.validation)
        folds.append((result, seconds))
        print(
            f"{title}: fold {len(folds)}, track {result.track_accuracy:.3f}, "
            f"segment {result.segment_accuracy:.3f}, {seconds:.0f} s",
            flush=True,
        )
    n_tracks = np.array([result.n_tracks for result, _ in folds])
    track = float(np.average([r.track_accuracy for r, _ in folds], weights=n_tracks))
    segment = float(np.average([r.segment_accuracy for r, _ in folds], weights=n_tracks))
    per_fold = float(np.mean([seconds for _, seconds in folds]))
    n_parameters = trained.network.count_params()
    print(
        f"{title}: track {track:.3f}, segment {segment:.3f}, {per_fold:.0f} s a fold, "
        f"{per_fold / config.n_epochs:.1f} s an epoch, {n_parameters:,} parameters"
    )
    return {
        "track_accuracy": track,
        "segment_accuracy": segment,
        "seconds_per_fold": per_fold,
        "seconds_per_epoch": per_fold / config.n_epochs,
        "n_parameters": n_parameters,
    }


def original_net(n_genres: int, n_mels: int, n_frames: int) -> keras.Model:
    """8 x [Conv2D 32, 2x2, ReLU, MaxPool], batch norm first, dropout 0.3, dense 64."""
    M = keras.Input((n_frames, n_mels))
    x = CompressedMel(name="input")(M)
    x = keras.layers.Reshape((n_frames, n_mels, 1))(x)
    x = keras.layers.BatchNormalization()(x)
    for _ in range(8):
        x = keras.layers.Conv2D(32, 2, padding="same", activation="relu")(x)
        x = keras.layers.MaxPool2D(2, padding="same")(x)
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model(M, keras.layers.Dense(n_genres)(x))


def _original(data: SegmentSet) -> dict:
    split, fold = _folds(data, TrainingConfig())[0]
    rows, kept = data.segments_of(split.train), data.segments_of(split.validation)
    keras.utils.set_random_seed(0)
    network = original_net(len(data.genres), data.M.shape[2], data.M.shape[1])
    network.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    started = time.perf_counter()
    network.fit(
        data.M[rows], data.labels(rows), batch_size=ORIGINAL_BATCH, epochs=ORIGINAL_EPOCHS,
        validation_data=(data.M[kept], data.labels(kept)), verbose=0,
    )  # fmt: skip
    seconds = (time.perf_counter() - started) / ORIGINAL_EPOCHS
    result = evaluate_classifier(network, data, fold.validation)
    print(
        f"original net, fold 1: track {result.track_accuracy:.3f} after {ORIGINAL_EPOCHS} epochs, "
        f"{seconds:.1f} s an epoch, {network.count_params():,} parameters",
        flush=True,
    )
    return {
        "track_accuracy_fold_1": result.track_accuracy,
        "epochs": ORIGINAL_EPOCHS,
        "seconds_per_epoch": seconds,
        "n_parameters": network.count_params(),
    }
