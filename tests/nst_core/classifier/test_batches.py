from pathlib import Path

import numpy as np
import pytest

from nst_core.classifier.batches import AugmentedBatches, Batches
from nst_core.classifier.dataset import SegmentSet
from nst_core.classifier.genres import Track
from nst_core.config import TrainingConfig


@pytest.fixture
def data():
    """Ten segments of two genres, identified by their level, 1 to 10."""
    tracks = [Track(Path(f"{i}.wav"), "folk" if i < 5 else "rock", None, f"{i}") for i in range(10)]
    M = np.random.default_rng(0).uniform(0.9, 1, (10, 4, 16)) * np.arange(1, 11)[:, None, None]
    return SegmentSet(M.astype("f2"), np.arange(10), tuple(tracks))


def augmented(data, **changes):
    return AugmentedBatches(data, np.arange(10), TrainingConfig(batch_size=4, **changes))


def order(batches):
    """Numbers of the segments, batch by batch."""
    mels = [batches[i][0] for i in range(len(batches))]
    return [np.round(M.max(axis=(1, 2))).astype(int) - 1 for M in mels]


def gains(data, **changes):
    """Return the factors of the first batch, shape (4, n_frames, n_mels)."""
    return augmented(data, **changes)[0][0] / augmented(data)[0][0]


def test_every_segment_occurs_once_with_its_genre(data):
    batches = Batches(data, np.arange(10), 4)
    np.testing.assert_array_equal(np.concatenate(order(batches)), np.arange(10))
    assert [len(each) for each in order(batches)] == [4, 4, 2]
    M, labels = batches[1]
    np.testing.assert_array_equal(M, data.M[4:8])
    np.testing.assert_array_equal(labels, [[1, 0], [0, 1], [0, 1], [0, 1]])


def test_each_epoch_has_another_order_of_the_same_segments(data):
    batches = augmented(data)
    first = order(batches)
    assert [list(each) for each in order(batches)] == [list(each) for each in first]
    batches.on_epoch_end()
    second = order(batches)
    assert sorted(np.concatenate(first)) == sorted(np.concatenate(second)) == list(range(10))
    assert [set(each) for each in first] != [set(each) for each in second]


def test_a_random_level_is_one_gain_for_all_of_a_segment(data):
    found = gains(data, augment_gain_db=6.0)
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1, :1], found.shape), rtol=1e-5)
    assert np.ptp(found[:, 0, 0]) > 0.1


def test_a_random_equalisation_is_smooth_over_the_bands_and_constant_in_time(data):
    found = 10 * np.log10(gains(data, augment_eq_db=6.0))
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1], found.shape), atol=1e-4)
    assert np.ptp(found[:, 0], axis=1).min() > 1
    assert np.abs(np.diff(found[:, 0], axis=1)).max() < 0.5 * np.ptp(found[:, 0])


def test_a_mixture_has_its_labels_in_the_proportion_of_its_powers(data):
    M, labels = augmented(data, mix_share=1.0)[0]
    plain, one_hot = augmented(data)[0]
    assert np.abs(M - plain).max() > 0.1
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    assert (labels[one_hot == 1] >= 0.5).all()
    assert plain.min() - 1e-3 <= M.min() <= M.max() <= plain.max() + 1e-3
