"""Train the genre classifier, keep its best weights, and evaluate them.

Tracks are split by artist if the artists are known (`nst_core.classifier.splits`). Training uses
segments. The decisive figure is the accuracy per track, from the mean of its segments' log
probabilities.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_core.classifier.batches import AugmentedBatches, Batches
from nst_core.classifier.card import write_card
from nst_core.classifier.checkpoint import Checkpoint
from nst_core.classifier.dataset import SegmentSet
from nst_core.classifier.evaluation import Evaluation, evaluate_classifier
from nst_core.classifier.network import build_classifier, standardise_input
from nst_core.classifier.saving import save_classifier
from nst_core.classifier.splits import Split, split_tracks
from nst_core.classifier.weights import SUFFIX, card_path
from nst_core.config import ClassifierConfig, MelConfig, TrainingConfig
from nst_core.errors import DatasetError

_STATISTICS_SEGMENTS = 512


@dataclass(frozen=True)
class EpochRecord:
    """Figures of one epoch; losses in nats, accuracies per segment, 0..1."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class Trained:
    """Result of `train_classifier`: a network with the weights of `best_epoch`."""

    network: keras.Model
    history: tuple[EpochRecord, ...]
    best_epoch: int
    validation: Evaluation


def train_classifier(
    data: SegmentSet,
    split: Split,
    architecture: ClassifierConfig,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Fit a classifier and return the weights with the best validation accuracy.

    Only epochs after ``settle_share`` of the schedule are candidates.

    Validation uses and keeps a running mean of the weights over about one epoch. This makes the
    choice of the best epoch less random if the validation set is small.

    Parameters
    ----------
    data
        All segments.
    split
        Tracks for training and tracks for choosing the epoch.
    architecture, config
        Network and schedule.
    on_epoch
        Called after every epoch.
    checkpoint
        Folder of this training alone, in which an interrupted one leaves what it has learned. It
        goes on after the last whole epoch, with the same result as if it had never stopped.

    Raises
    ------
    DatasetError
        ``no_segments``: a side of the split has no segment.
    """
    training, validation = _sides(data, split)
    network = build_classifier(
        architecture, n_mels=data.M.shape[2], n_classes=len(data.genres), seed=config.seed
    )
    standardise_input(network, _sample(data.M, training, config.seed))
    batches = AugmentedBatches(data, training, config)
    _compile(network, len(batches), config)
    first_epoch = int(config.settle_share * config.n_epochs)
    history: list[EpochRecord] = []
    with TemporaryDirectory(prefix="amnst-train-") as scratch:
        best = Path(scratch, f"best{SUFFIX}")
        kept_state = Checkpoint(checkpoint, network, best)
        history += [EpochRecord(**epoch) for epoch in kept_state.restore()]
        batches.skip_to(len(history))
        network.fit(
            batches,
            epochs=config.n_epochs,
            initial_epoch=len(history),
            validation_data=Batches(data, validation, config.batch_size),
            verbose=0,
            shuffle=False,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: kept_state.save_variables()),
                keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
                _KeepBest(best, first_epoch=first_epoch, history=history),
                keras.callbacks.LambdaCallback(on_epoch_end=_recorder(history, on_epoch)),
                keras.callbacks.LambdaCallback(
                    on_epoch_end=lambda *_: kept_state.finish([asdict(each) for each in history])
                ),
            ],
        )
        network.load_weights(best)
    kept = max(history[first_epoch:], key=lambda record: (record.val_accuracy, -record.epoch))
    evaluation = evaluate_classifier(network, data, split.validation)
    return Trained(network, tuple(history), kept.epoch, evaluation)


def _sides(data: SegmentSet, split: Split) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the segments for training and for validation; each side needs at least one."""
    training, validation = data.segments_of(split.train), data.segments_of(split.validation)
    if not (len(training) and len(validation)):
        raise DatasetError(
            f"there are {len(training)} training and {len(validation)} validation segments, but "
            "each side needs at least one; use longer or more tracks",
            code="no_segments",
        )
    return training, validation


class _KeepBest(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Callback that saves the weights with the best validation accuracy from `first_epoch` on."""

    def __init__(self, weights: Path, *, first_epoch: int, history: list[EpochRecord]) -> None:
        super().__init__()
        self._weights = weights
        self._first_epoch = first_epoch
        done = (record.val_accuracy for record in history[first_epoch:])
        self._best = max(done, default=-1.0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if epoch >= self._first_epoch and logs["val_accuracy"] > self._best:
            self._best = logs["val_accuracy"]
            self.model.save_weights(self._weights)


def _recorder(
    history: list[EpochRecord], on_epoch: Callable[[EpochRecord], None] | None
) -> Callable[[int, dict[str, Any]], None]:
    def record(epoch: int, logs: dict[str, Any]) -> None:
        history.append(
            EpochRecord(
                epoch=epoch,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                val_loss=float(logs["val_loss"]),
                val_accuracy=float(logs["val_accuracy"]),
            )
        )
        if on_epoch:
            on_epoch(history[-1])

    return record


def _compile(network: keras.Model, n_batches: int, config: TrainingConfig) -> None:
    """Set optimiser and loss; the running mean of the weights spans about one epoch."""
    network.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                config.learning_rate, config.n_epochs * n_batches
            ),
            weight_decay=config.weight_decay,
            use_ema=True,
            name="adamw",
            ema_momentum=1 - 1 / max(2, n_batches),
        ),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=["accuracy"],
    )


def _sample(
    M: npt.NDArray[np.float16], rows: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.float16]:
    """Return some training segments, shape (at most 512, n_frames, n_mels)."""
    n = min(len(rows), _STATISTICS_SEGMENTS)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
    sample: npt.NDArray[np.float16] = M[chosen]
    return sample


def train_and_save(
    data: SegmentSet,
    weights: Path,
    *,
    architecture: ClassifierConfig,
    config: TrainingConfig,
    mel: MelConfig,
    facts: dict[str, Any],
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: Path | None = None,
) -> Evaluation:
    """Split, train, and write weights, card and pictures.

    Parameters
    ----------
    data
        All segments of the dataset.
    weights
        Path that ends in ``.weights.h5``; the card and its pictures go into the same folder.
    mel
        Spectrogram settings of `data`.
    facts
        ``dataset`` and ``licence``, for the card.
    on_epoch, checkpoint
        As for `train_classifier`.

    Returns
    -------
    Evaluation
        Accuracy of the saved weights on the validation tracks.

    Raises
    ------
    DatasetError
        ``too_few_tracks``, ``no_segments``.
    """
    split = split_tracks(data.tracks, validation_share=config.validation_share, seed=config.seed)
    trained = train_classifier(
        data, split, architecture, config, on_epoch=on_epoch, checkpoint=checkpoint
    )
    save_classifier(
        trained.network,
        weights,
        genres=data.genres,
        architecture=architecture,
        mel=mel,
        facts={**facts, **_training_facts(trained, split, config)},
    )
    card = json.loads(card_path(weights).read_text("utf-8"))
    write_card(weights.parent, weights.name.removesuffix(SUFFIX), card)
    return trained.validation


def _training_facts(trained: Trained, split: Split, config: TrainingConfig) -> dict[str, Any]:
    return {
        "training": asdict(config),
        "split": {
            "by": "artist" if any(track.artist for track in split.train) else "track",
            "train_tracks": [str(track.path) for track in split.train],
            "validation_tracks": [str(track.path) for track in split.validation],
        },
        "best_epoch": trained.best_epoch,
        "validation": asdict(trained.validation),
        "history": [asdict(record) for record in trained.history],
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
