"""An interrupted training goes on, and ends as if it had never been interrupted."""

import numpy as np
import pytest

from nst_core.classifier.training import train_classifier
from nst_core.config import TrainingConfig
from tests.nst_core.classifier.test_training import ARCHITECTURE, halves, noise

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CONFIG = TrainingConfig(n_epochs=4, batch_size=4)

__all__ = ["noise"]


class StopError(Exception):
    """An interruption."""


def train(data, checkpoint, *, stop_at=None):
    """Return the result and the epochs that were computed; stop in an epoch if asked to."""
    epochs = []

    def note(record):
        epochs.append(record.epoch)
        if record.epoch == stop_at:
            raise StopError

    def run():
        return train_classifier(
            data, halves(data, 4), ARCHITECTURE, CONFIG, on_epoch=note, checkpoint=checkpoint
        )

    if stop_at is None:
        return run(), epochs
    with pytest.raises(StopError):
        run()
    return None, epochs


def assert_same(one, other):
    assert one.history == other.history
    assert one.best_epoch == other.best_epoch
    for a, b in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_that_was_stopped_twice_ends_with_the_same_bytes(noise, tmp_path):
    whole, _ = train(noise, None)
    assert train(noise, tmp_path, stop_at=1)[1] == [0, 1]
    assert train(noise, tmp_path, stop_at=2)[1] == [1, 2]
    resumed, epochs = train(noise, tmp_path)
    assert epochs == [2, 3]
    assert_same(resumed, whole)


def test_a_damaged_checkpoint_counts_as_none(noise, tmp_path):
    whole, _ = train(noise, None)
    train(noise, tmp_path, stop_at=2)
    (state,) = tmp_path.glob("epoch-*")
    data = bytearray((state / "state.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (state / "state.npz").write_bytes(data)
    resumed, epochs = train(noise, tmp_path)
    assert epochs == [0, 1, 2, 3]
    assert_same(resumed, whole)
