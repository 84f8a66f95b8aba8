import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from nst_core.classifier.dataset import SegmentSet
from nst_core.classifier.evaluation import evaluate_classifier, log_probabilities
from nst_core.classifier.genres import Track
from nst_core.classifier.network import build_classifier
from nst_core.classifier.saving import load_classifier, save_classifier
from nst_core.classifier.splits import Split
from nst_core.classifier.training import train_and_save, train_classifier
from nst_core.classifier.weights import card_path
from nst_core.config import ClassifierConfig, MelConfig, TrainingConfig
from nst_core.errors import DatasetError
from nst_core.spectral.mel import power_mel
from nst_core.synth.sounds import music_piece

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MEL = MelConfig()
ARCHITECTURE = ClassifierConfig(n_filters=12, n_layers=1, dropout=0.2, band_dropout=0.0)


def segment_set(mels):
    """Mels of shape (n_tracks, n_segments, n_frames, n_mels) per genre."""
    tracks, rows = [], []
    for genre, of_genre in mels.items():
        for i, track in enumerate(of_genre):
            tracks.append(Track(Path(f"{genre}/{i}.wav"), genre, None, f"{genre} {i}"))
            rows.append(track)
    counts = [len(track) for track in rows]
    return SegmentSet(
        np.concatenate(rows).astype("f2"), np.repeat(np.arange(len(rows)), counts), tuple(tracks)
    )


def halves(data, n_train):
    """The first tracks of each genre to learn from, the others to validate."""
    number = [int(track.path.stem) for track in data.tracks]
    pairs = list(zip(data.tracks, number, strict=True))
    return Split(
        tuple(track for track, i in pairs if i < n_train),
        tuple(track for track, i in pairs if i >= n_train),
    )


@pytest.fixture(scope="module")
def music():
    """Six pieces of two genres in two segments of a second each."""
    return segment_set(
        {
            genre: np.stack(
                [
                    [power_mel(part, MEL).T for part in np.split(music_piece(genre, 2, seed=s), 2)]
                    for s in range(6)
                ]
            )
            for genre in ("chamber", "rock")
        }
    )


@pytest.fixture(scope="module")
def noise():
    """Tracks of noise with random genres, from which nothing can be learned for other tracks."""
    rng = np.random.default_rng(0)
    M = rng.exponential(size=(2, 14, 3, 12, 384)) * rng.gamma(1.0, 1e-3, (2, 14, 1, 1, 384))
    return segment_set(dict(zip(("even", "odd"), M, strict=True)))


@pytest.fixture(scope="module")
def wild(noise):
    """A run whose best epoch is neither its first nor its last."""
    config = TrainingConfig(n_epochs=14, batch_size=8, learning_rate=0.05, seed=6, settle_share=0.0)
    return train_classifier(noise, halves(noise, 7), ARCHITECTURE, config)


def test_two_genres_are_learned_from_a_few_pieces(music):
    split = halves(music, 4)
    config = TrainingConfig(n_epochs=30, batch_size=4, learning_rate=0.01)
    trained = train_classifier(music, split, ARCHITECTURE, config)
    assert trained.validation.track_accuracy == 1.0
    assert trained.validation.n_tracks == 4
    assert trained.validation.confusion == ((2, 0), (0, 2))
    assert trained.history[-1].loss < trained.history[0].loss


def test_the_weights_of_the_best_validation_epoch_are_kept(wild, noise):
    accuracy = [record.val_accuracy for record in wild.history]
    best = max(accuracy)
    assert wild.best_epoch == accuracy.index(best)
    assert wild.best_epoch != len(accuracy) - 1
    assert accuracy[-1] < best
    found = evaluate_classifier(wild.network, noise, halves(noise, 7).validation)
    assert found.segment_accuracy == pytest.approx(best, abs=1e-6)
    assert found == wild.validation


def test_the_saved_file_is_the_best_epoch_when_it_is_loaded_again(wild, noise, tmp_path):
    path = tmp_path / "best.weights.h5"
    save_classifier(
        wild.network, path, genres=noise.genres, architecture=ARCHITECTURE, mel=MEL, facts={}
    )
    reloaded = load_classifier(path).network
    found = evaluate_classifier(reloaded, noise, halves(noise, 7).validation)
    best = max(record.val_accuracy for record in wild.history)
    assert found.segment_accuracy == pytest.approx(best, abs=1e-6)
    assert found.segment_accuracy > wild.history[-1].val_accuracy


def test_a_dataset_becomes_a_model_whose_card_states_what_it_does(noise, tmp_path):
    path = tmp_path / "model.weights.h5"
    config = TrainingConfig(n_epochs=10, batch_size=8, learning_rate=0.05, seed=3)
    found = train_and_save(
        noise,
        path,
        architecture=ARCHITECTURE,
        config=config,
        mel=MEL,
        facts={"dataset": "noise", "licence": "none"},
    )
    card = json.loads(card_path(path).read_text("utf-8"))
    settled = card["history"][5:]  # half of the schedule: the earlier epochs do not count
    best = max(settled, key=lambda record: record["val_accuracy"])
    assert best["val_accuracy"] < max(record["val_accuracy"] for record in card["history"])
    assert card["best_epoch"] == best["epoch"] != 9
    by_path = {str(track.path): track for track in noise.tracks}
    validation = [by_path[name] for name in card["split"]["validation_tracks"]]
    assert not set(card["split"]["train_tracks"]) & set(card["split"]["validation_tracks"])
    reloaded = load_classifier(path)
    assert evaluate_classifier(reloaded.network, noise, validation) == found
    assert found.segment_accuracy == pytest.approx(best["val_accuracy"], abs=1e-6)
    assert card["validation"]["track_accuracy"] == found.track_accuracy
    assert card["dataset"] == "noise"
    assert "noise" in path.with_name("model.md").read_text("utf-8")


def test_a_seed_decides_the_run_bit_for_bit(noise):
    split = halves(noise, 7)
    config = TrainingConfig(n_epochs=2, batch_size=16, augment_eq_db=3.0)
    first, again = (train_classifier(noise, split, ARCHITECTURE, config) for _ in range(2))
    other = train_classifier(noise, split, ARCHITECTURE, dataclasses.replace(config, seed=1))
    assert first.history == again.history
    for a, b in zip(first.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.history[0].loss != other.history[0].loss


@pytest.fixture(scope="module")
def unaugmented(noise):
    """One epoch in which almost nothing is learned, and its configuration."""
    config = TrainingConfig(
        n_epochs=1,
        batch_size=16,
        learning_rate=1e-7,
        weight_decay=0.0,
        mix_share=0.0,
        augment_gain_db=0.0,
    )
    return config, train_classifier(noise, halves(noise, 7), ARCHITECTURE, config).history[0]


@pytest.mark.parametrize(
    "change", [{"mix_share": 1.0}, {"augment_gain_db": 6.0}, {"augment_eq_db": 6.0}], ids=str
)
def test_an_augmentation_acts_on_training_and_hardly_on_validation(noise, unaugmented, change):
    config, plain = unaugmented
    config = dataclasses.replace(config, **change)
    changed = train_classifier(noise, halves(noise, 7), ARCHITECTURE, config).history[0]
    assert abs(changed.loss - plain.loss) > 1e-3
    assert abs(changed.val_loss - plain.val_loss) < 0.2 * plain.val_loss


def test_every_epoch_is_reported(noise):
    told = []
    config = TrainingConfig(n_epochs=3, batch_size=32)
    trained = train_classifier(noise, halves(noise, 7), ARCHITECTURE, config, on_epoch=told.append)
    assert tuple(told) == trained.history
    assert [record.epoch for record in told] == [0, 1, 2]


def test_a_track_is_judged_by_the_mean_of_its_segments(noise):
    network = build_classifier(ARCHITECTURE, n_mels=384, n_classes=2, seed=3)
    found = evaluate_classifier(network, noise, noise.tracks)
    log_p = log_probabilities(network, noise.M, np.arange(len(noise.M)))
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
    truth = noise.labels(np.arange(len(noise.M)))
    assert found.segment_accuracy == np.mean(log_p.argmax(axis=1) == truth)
    per_track = log_p.reshape(28, 3, 2).mean(axis=1).argmax(axis=1)
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (np.repeat([0, 1], 14), per_track), 1)
    np.testing.assert_array_equal(found.confusion, confusion)
    assert found.track_accuracy == np.trace(confusion) / 28
    assert (found.n_tracks, found.n_segments) == (28, 84)
    assert 0 <= found.track_interval[0] < found.track_accuracy < found.track_interval[1] <= 1


def test_the_interval_is_wilsons(music):
    network = build_classifier(ARCHITECTURE, n_mels=384, n_classes=2, seed=3)
    found = evaluate_classifier(network, music, music.tracks)
    n, p, z = found.n_tracks, found.track_accuracy, 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(found.track_interval, (middle - reach, middle + reach), atol=1e-4)


def test_the_size_of_a_batch_does_not_move_a_judgement(noise):
    network = build_classifier(ARCHITECTURE, n_mels=384, n_classes=2, seed=3)
    rows = np.arange(len(noise.M))
    np.testing.assert_allclose(
        log_probabilities(network, noise.M, rows, batch_size=5),
        log_probabilities(network, noise.M, rows),
        atol=1e-5,
    )


@pytest.mark.parametrize("empty", ["train", "validation"])
def test_a_side_without_segments_is_refused(noise, empty):
    split = dataclasses.replace(halves(noise, 7), **{empty: ()})
    with pytest.raises(DatasetError, match=r"0 (training|validation)") as caught:
        train_classifier(noise, split, ARCHITECTURE, TrainingConfig(n_epochs=1))
    assert caught.value.code == "no_segments"
