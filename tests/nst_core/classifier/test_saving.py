import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest

from nst_core.classifier.network import build_classifier, standardise_input
from nst_core.classifier.saving import load_classifier, save_classifier
from nst_core.classifier.weights import DEFAULT_MODEL, card_path, check_weights
from nst_core.config import ClassifierConfig, MelConfig, TrainingConfig
from nst_core.errors import ModelError
from nst_core.spectral.mel import compress, power_mel
from nst_core.synth.sounds import music_piece

# Keras 3.15 turns TensorFlow's variables into arrays in a way NumPy 2.4 warns of.
# It also warns before it refuses weights of another network.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning"),
]

MEL = MelConfig()
GENRES = ("folk", "rock", "polka")
ARCHITECTURE = ClassifierConfig(n_filters=8, n_layers=2)


def network_of(architecture=ARCHITECTURE, seed=5):
    network = build_classifier(architecture, n_mels=384, n_classes=len(GENRES), seed=seed)
    standardise_input(network, np.random.default_rng(0).exponential(size=(2, 9, 384)))
    return network


def save(network, path, architecture=ARCHITECTURE, **facts):
    return save_classifier(
        network, path, genres=GENRES, architecture=architecture, mel=MEL, facts=facts
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.weights.h5"
    network = network_of()
    save(network, path, accuracy=0.5)
    return network, path


@pytest.fixture
def weights(saved, tmp_path):
    """A copy of the saved pair that a test may damage."""
    for path in saved[1].parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / saved[1].name


def change_card(weights, **changes):
    path = card_path(weights)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(path):
    with pytest.raises(ModelError) as caught:
        load_classifier(path)
    assert path.name in str(caught.value)
    return caught.value.code


@pytest.fixture(scope="module")
def mel_of_a_piece():
    return power_mel(music_piece("rock", 1.0, seed=0), MEL)


def test_a_loaded_classifier_answers_like_the_saved_one(saved, mel_of_a_piece):
    network, path = saved
    classifier = load_classifier(path)
    assert classifier.genres == GENRES
    assert classifier.mel == MEL
    logits = network(mel_of_a_piece.T[None], training=False).numpy()
    np.testing.assert_array_equal(
        classifier.network(mel_of_a_piece.T[None], training=False), logits
    )
    assert np.abs(logits).max() > 0.01
    tap = classifier.taps.features(compress(mel_of_a_piece), ["conv1"])["conv1"].numpy()
    assert tap.max() > 0.1


def test_a_folder_that_holds_one_model_is_enough(saved):
    assert load_classifier(saved[1].parent).sha256 == load_classifier(saved[1]).sha256


def test_the_card_states_sha256_architecture_and_the_facts(saved):
    network, path = saved
    card = json.loads(card_path(path).read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["sha256"] == digest == load_classifier(path).sha256
    assert card["weights"] == "small.weights.h5"
    assert card["genres"] == list(GENRES)
    assert card["architecture"] == dataclasses.asdict(ARCHITECTURE)
    assert card["accuracy"] == 0.5
    assert card["n_parameters"] == sum(w.size for w in network.get_weights())


def test_a_fact_that_is_not_a_number_does_not_reach_the_card(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save(network_of(), tmp_path / "a.weights.h5", accuracy=float("nan"))


def test_one_flipped_bit_is_found(weights):
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert refusal(weights) == "model_checksum"


def test_weights_under_another_models_card_are_refused(weights, tmp_path):
    other = tmp_path / "other.weights.h5"
    save(network_of(seed=6), other)
    shutil.copy(other, weights)
    assert refusal(weights) == "model_checksum"


@pytest.mark.parametrize(
    "architecture",
    [
        {"n_filters": 9},
        {"n_layers": 3},
        {"kind": "2d"},
        {"kernel_size": 5},
        {"n_filters": 0},
        {"n_wheels": 4},
        {"kind": "3d"},
    ],
    ids=str,
)
def test_weights_of_another_architecture_are_refused(weights, architecture):
    change_card(weights, architecture=dataclasses.asdict(ARCHITECTURE) | architecture)
    assert refusal(weights) == "model_architecture"


@pytest.mark.parametrize("version", [None, 1, 3])
def test_weights_of_another_wiring_are_refused(weights, version):
    change_card(weights, network_version=version)
    assert refusal(weights) == "model_architecture"


def test_a_different_number_of_genres_is_a_different_architecture(weights):
    change_card(weights, genres=["folk", "rock"])
    assert refusal(weights) == "model_architecture"


def test_a_file_that_holds_no_weights_is_refused_even_with_its_own_sha256(weights):
    weights.write_bytes(b"not HDF5")
    change_card(weights, sha256=hashlib.sha256(b"not HDF5").hexdigest())
    assert refusal(weights) == "model_architecture"


def test_a_missing_card_is_refused(weights):
    card_path(weights).unlink()
    assert refusal(weights) == "model_card"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": 5}', "\udcff"])
def test_a_card_that_cannot_be_read_is_refused(weights, text):
    card_path(weights).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match="card") as caught:
        load_classifier(weights)
    assert caught.value.code == "model_card"


def test_a_file_that_is_not_a_weights_file_is_refused_by_name(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"zip")
    assert refusal(tmp_path / "model.keras") == "model_not_found"
    assert refusal(tmp_path / "none.weights.h5") == "model_not_found"


@pytest.mark.parametrize("n", [0, 2])
def test_a_folder_must_hold_exactly_one_model(tmp_path, n):
    for i in range(n):
        (tmp_path / f"{i}.weights.h5").touch()
    with pytest.raises(ModelError, match=f"contains {n} .* exactly 1") as caught:
        load_classifier(tmp_path)
    assert caught.value.code == "model_not_found"


def test_new_weights_under_an_old_name_are_the_ones_that_are_loaded(weights, mel_of_a_piece):
    before = load_classifier(weights)
    save(network_of(seed=7), weights)
    after = load_classifier(weights)
    assert after.sha256 != before.sha256
    logits = [c.network(mel_of_a_piece.T[None], training=False).numpy() for c in (before, after)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_the_default_classifier_is_of_todays_architecture_and_small():
    default = load_classifier()
    card = check_weights(DEFAULT_MODEL).card
    assert card["architecture"] == dataclasses.asdict(ClassifierConfig())
    assert card["training"] == dataclasses.asdict(TrainingConfig())
    assert default.genres == ("classical", "electronic", "pop", "rock")
    assert sum(part.stat().st_size for part in DEFAULT_MODEL.parent.iterdir()) < 1 << 20
