"""Accuracy of a classifier on tracks that it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.stats import binomtest

from nst_core.arrays import FloatArray
from nst_core.classifier.dataset import SegmentSet
from nst_core.classifier.genres import Track


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of a classifier on some tracks.

    Attributes
    ----------
    segment_accuracy, track_accuracy
        Shares of correct segments and tracks, 0..1.
    track_interval
        95 % Wilson interval of the track accuracy.
    confusion
        Number of tracks by true (rows) and predicted (columns) genre.
    """

    genres: tuple[str, ...]
    n_segments: int
    n_tracks: int
    segment_accuracy: float
    track_accuracy: float
    track_interval: tuple[float, float]
    confusion: tuple[tuple[int, ...], ...]


def evaluate_classifier(
    network: keras.Model, data: SegmentSet, tracks: Sequence[Track]
) -> Evaluation:
    """Evaluate a classifier on some tracks, per segment and per track."""
    rows = data.segments_of(tracks)
    log_p = log_probabilities(network, data.M, rows)
    truth, owner = data.labels(rows), data.track_of[rows]
    owners = np.unique(owner)
    mean_log_p = np.stack([log_p[owner == track].mean(axis=0) for track in owners])
    track_truth = np.array([truth[owner == track][0] for track in owners])
    found = mean_log_p.argmax(axis=1)
    confusion = np.zeros((len(data.genres), len(data.genres)), int)
    np.add.at(confusion, (track_truth, found), 1)
    n_right = int((found == track_truth).sum())
    interval = binomtest(n_right, len(owners)).proportion_ci(method="wilson")
    return Evaluation(
        genres=data.genres,
        n_segments=len(rows),
        n_tracks=len(owners),
        segment_accuracy=float((log_p.argmax(axis=1) == truth).mean()),
        track_accuracy=n_right / len(owners),
        track_interval=(float(interval.low), float(interval.high)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
    )


def log_probabilities(
    network: keras.Model,
    M: npt.NDArray[np.float16],
    rows: npt.NDArray[np.int64],
    *,
    batch_size: int = 64,
) -> FloatArray:
    """Return the log genre probabilities of some segments, shape (len(rows), n_genres)."""
    batches = (rows[i : i + batch_size] for i in range(0, len(rows), batch_size))
    logits = [network(M[batch].astype(np.float32), training=False) for batch in batches]
    log_p: FloatArray = tf.nn.log_softmax(tf.concat(logits, axis=0)).numpy()
    return log_p
