"""Fit the genre classifier, keep its best weights, and judge it honestly.

Tracks are split by artist where artists are known (`nst_core.genres`), training goes on
segments, and the figure that counts is per track: the mean of its segments' log
probabilities.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_core.card import write_card
from nst_core.cnn import build_classifier, standardise_input
from nst_core.config import ClassifierConfig, MelConfig, TrainingConfig
from nst_core.dataset import SegmentSet
from nst_core.errors import DatasetError
from nst_core.evaluation import Evaluation, evaluate_classifier
from nst_core.genres import Split, split_tracks
from nst_core.model import save_classifier
from nst_core.stft import FloatArray
from nst_core.weights import SUFFIX, card_path

_STATISTICS_SEGMENTS = 512
_EQ_CURVES = 6


@dataclass(frozen=True)
class EpochRecord:
    """One line of the training curve; losses in nats, accuracies per segment, 0..1."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class Trained:
    """Outcome of `train_classifier`: the network holds the weights of `best_epoch`."""

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
) -> Trained:
    """Fit a classifier and return the weights with the best validation accuracy.

    Epochs count from ``settle_share`` of the schedule on.

    A running mean of the weights over about an epoch is what is validated and kept: it
    makes the choice of the best epoch less of a lottery where the validation set is small.

    Parameters
    ----------
    data
        All segments.
    split
        Which tracks to learn from and which to choose the epoch by.
    architecture, config
        Network and schedule.
    on_epoch
        Called after every epoch.

    Raises
    ------
    DatasetError
        ``no_segments``: a side of the split has no segment.
    """
    rows = data.segments_of(split.train), data.segments_of(split.validation)
    if not all(map(len, rows)):
        raise DatasetError(
            f"{len(rows[0])} training and {len(rows[1])} validation segments were cut, each "
            "side needs at least one; use longer or more tracks",
            code="no_segments",
        )
    network = build_classifier(
        architecture, n_mels=data.M.shape[2], n_classes=len(data.genres), seed=config.seed
    )
    standardise_input(network, _sample(data.M, rows[0], config.seed))
    batches = _AugmentedBatches(data, rows[0], config)
    network.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                config.learning_rate, config.n_epochs * len(batches)
            ),
            weight_decay=config.weight_decay,
            use_ema=True,
            name="adamw",
            ema_momentum=1 - 1 / max(2, len(batches)),
        ),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=["accuracy"],
    )
    first_epoch = int(config.settle_share * config.n_epochs)
    history: list[EpochRecord] = []
    with TemporaryDirectory(prefix="amnst-train-") as scratch:
        best = Path(scratch) / "best.weights.h5"
        network.fit(
            batches,
            epochs=config.n_epochs,
            validation_data=_Batches(data, rows[1], config.batch_size),
            verbose=0,
            shuffle=False,
            callbacks=[
                keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
                _KeepBest(best, first_epoch=first_epoch),
                keras.callbacks.LambdaCallback(on_epoch_end=_recorder(history, on_epoch)),
            ],
        )
        network.load_weights(best)
    kept = max(history[first_epoch:], key=lambda record: (record.val_accuracy, -record.epoch))
    validation = evaluate_classifier(network, data, split.validation)
    return Trained(network, tuple(history), kept.epoch, validation)


class _KeepBest(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Save the weights of the best validation accuracy from `first_epoch` on."""

    def __init__(self, weights: Path, *, first_epoch: int) -> None:
        super().__init__()
        self._weights = weights
        self._first_epoch = first_epoch
        self._best = -1.0

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


def _sample(
    M: npt.NDArray[np.float16], rows: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.float16]:
    """Some segments of those to learn from, shape (at most 512, n_frames, n_mels)."""
    n = min(len(rows), _STATISTICS_SEGMENTS)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
    sample: npt.NDArray[np.float16] = M[chosen]
    return sample


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is untyped
    """Segments and one-hot labels in a fixed order."""

    def __init__(self, data: SegmentSet, rows: npt.NDArray[np.int64], batch_size: int) -> None:
        super().__init__()
        self._data = data
        self._rows = rows
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def _take(self, rows: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        one_hot = np.eye(len(self._data.genres), dtype=np.float32)
        return self._data.M[rows].astype(np.float32), one_hot[self._data.labels(rows)]

    def __getitem__(self, index: int) -> tuple[FloatArray, FloatArray]:
        start = index * self._batch_size
        return self._take(self._rows[start : start + self._batch_size])


class _AugmentedBatches(_Batches):
    """Shuffled anew each epoch; on request gain, smooth equalisation and mixtures of segments.

    All are physical on linear power: a level, a microphone, two sounds at once.
    """

    def __init__(
        self, data: SegmentSet, rows: npt.NDArray[np.int64], config: TrainingConfig
    ) -> None:
        super().__init__(data, rows, config.batch_size)
        self._config = config
        self._epoch = 0
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng((self._config.seed, self._epoch))
        self._order = rng.permutation(self._rows)

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._shuffle()

    def __getitem__(self, index: int) -> tuple[FloatArray, FloatArray]:
        start = index * self._batch_size
        M, labels = self._take(np.sort(self._order[start : start + self._batch_size]))
        rng = np.random.default_rng((self._config.seed, self._epoch, index))
        config = self._config
        if config.augment_gain_db or config.augment_eq_db:
            M *= _random_gains(rng, len(M), M.shape[2], config)[:, None]
        if not config.mix_share:
            return M, labels
        share = rng.uniform(0, 0.5, len(M)) * (rng.uniform(size=len(M)) < config.mix_share)
        return _mixed(M, labels, share.astype(np.float32), rng.permutation(len(M)))


def _random_gains(
    rng: np.random.Generator, n: int, n_mels: int, config: TrainingConfig
) -> FloatArray:
    """Power gains, shape (n, n_mels): a level and a sum of a few slow cosines, in decibels."""
    orders = np.arange(1, _EQ_CURVES + 1)[:, None]
    curves = np.cos(np.pi * orders * np.linspace(0, 1, n_mels)) * np.sqrt(2 / _EQ_CURVES)
    gain_db = rng.normal(size=(n, 1)) * config.augment_gain_db
    gain_db = gain_db + rng.normal(size=(n, _EQ_CURVES)) @ curves * config.augment_eq_db
    gains: FloatArray = (10 ** (gain_db / 10)).astype(np.float32)
    return gains


def _mixed(
    M: FloatArray, labels: FloatArray, share: FloatArray, partner: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Blend each segment with a partner (mixup, Zhang et al. 2018, on linear power)."""
    other_M, other_labels = M[partner], labels[partner]
    M *= (1 - share)[:, None, None]
    other_M *= share[:, None, None]
    M += other_M
    return M, labels * (1 - share)[:, None] + other_labels * share[:, None]


def train_and_save(
    data: SegmentSet,
    weights: Path,
    *,
    architecture: ClassifierConfig,
    config: TrainingConfig,
    mel: MelConfig,
    facts: dict[str, Any],
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> Evaluation:
    """Split, train, and write weights, card and pictures.

    Parameters
    ----------
    data
        All segments of the dataset.
    weights
        Ends in ``.weights.h5``; the card and its pictures go beside it.
    mel
        The spectrogram of `data`.
    facts
        ``dataset`` and ``licence``: what the card says of the data.

    Returns
    -------
    Evaluation
        On the validation tracks, with the weights that were saved.

    Raises
    ------
    DatasetError
        ``too_few_tracks``, ``no_segments``.
    """
    split = split_tracks(data.tracks, validation_share=config.validation_share, seed=config.seed)
    trained = train_classifier(data, split, architecture, config, on_epoch=on_epoch)
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
