"""Batches of segments and labels for training, with optional augmentation."""

import math

import keras
import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray
from nst_core.classifier.dataset import SegmentSet
from nst_core.config import TrainingConfig

_EQ_CURVES = 6


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is untyped
    """Batches of segments in a fixed order, with their genres as one-hot labels.

    A batch is a pair of power mels, shape (batch, n_frames, n_mels), and labels, shape
    (batch, n_genres), float32.

    Parameters
    ----------
    data
        All segments.
    rows : shape (n,), int
        Indices of the segments to use.
    batch_size
        Segments per batch; the last batch may be smaller.
    """

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


class AugmentedBatches(Batches):
    """Batches shuffled every epoch, with optional random gain, equalisation and mixtures.

    On linear power, these have a physical meaning: a level, a microphone, two sounds at once.
    """

    def __init__(
        self, data: SegmentSet, rows: npt.NDArray[np.int64], config: TrainingConfig
    ) -> None:
        super().__init__(data, rows, config.batch_size)
        self._config = config
        self._epoch = 0
        self._shuffle()

    def skip_to(self, epoch: int) -> None:
        """Continue with the batches of an epoch."""
        self._epoch = epoch
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng((self._config.seed, self._epoch))
        self._order = rng.permutation(self._rows)

    def on_epoch_end(self) -> None:
        """Shuffle again; called by Keras."""
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
    """Return power gains, shape (n, n_mels): a level plus a few slow cosines, in decibels."""
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
