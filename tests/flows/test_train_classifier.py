"""Training turns a dataset into a classifier with its card, once."""

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.train_classifier import TrainRequest, TrainResult, train_classifier
from nst_core.audio.writing import write_audio
from nst_core.classifier.saving import load_classifier
from nst_core.config import ClassifierConfig, TrainingConfig
from nst_core.synth.sounds import GENRES, music_piece
from tests.command_line import main

# Keras and NumPy 2 disagree on how an array is copied.
pytestmark = [
    pytest.mark.usefixtures("prefect"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SMALL = ClassifierConfig(n_filters=8, n_layers=1)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Folders of two genres with four tracks each, and one file that is not audio."""
    folder = tmp_path_factory.mktemp("dataset") / "genres"
    for genre in GENRES[:2]:
        (folder / genre).mkdir(parents=True)
        for number in range(4):
            y = music_piece(genre, 4.0, seed=number)
            write_audio(folder / genre / f"{genre}.{number:05d}.wav", y, 22_050, format="wav")
    (folder / GENRES[0] / "broken.wav").write_text("no sound", "utf-8")
    for name in ("a.mid", "b.mid", "c.pdf"):
        (folder / GENRES[1] / name).write_text("no sound", "utf-8")
    return folder


@pytest.fixture(scope="module")
def archive(tracks):
    path = tracks.parent / "tracks.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tracks, "genres")
    return path


@dataclass
class School:
    """A place to train a classifier: its store, its output, and the flow that trains it."""

    root: Path
    archive: Path
    environment: object
    work: tuple[str, ...] = ()

    @property
    def output(self) -> Path:
        return self.root / "model"

    def train(self, n_epochs=2) -> TrainResult:
        request = TrainRequest(
            dataset=str(self.archive),
            output=str(self.output),
            architecture=SMALL,
            training=TrainingConfig(n_epochs=n_epochs, batch_size=4),
            licence="made up",
        )
        with self.environment(self.root) as made:
            result = train_classifier(request)
        self.work = tuple(made)
        return result


@pytest.fixture(scope="module")
def graduated(archive, environment, tmp_path_factory):
    """A school after its first training; tests may only change copies of it."""
    school = School(tmp_path_factory.mktemp("school") / "first", archive, environment)
    return school, school.train()


@pytest.fixture
def school(graduated, tmp_path):
    first, _ = graduated
    shutil.copytree(first.root, tmp_path / "copy")
    return School(tmp_path / "copy", first.archive, first.environment)


def test_training_makes_every_artefact_once(graduated):
    assert graduated[0].work == ("segments", "segment-mels", "model")


def test_training_leaves_weights_card_and_pictures(graduated):
    school, result = graduated
    assert {path.name for path in school.output.iterdir()} == {
        "classifier.weights.h5", "classifier.json", "classifier.md",
        "classifier.confusion.png", "classifier.curves.png",
    }  # fmt: skip
    assert result.weights == str(school.output / "classifier.weights.h5")
    for picture in school.output.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_card_states_data_licence_and_hash(graduated, sha256_of):
    school, _ = graduated
    card = json.loads((school.output / "classifier.json").read_text("utf-8"))
    assert card["sha256"] == sha256_of(school.output / "classifier.weights.h5")
    assert card["genres"] == list(GENRES[:2])
    assert card["licence"] == "made up"
    # 4 s give a window of 3 s and a rest too short to keep.
    assert card["dataset"] == "tracks.tar.gz: 8 tracks, 8 segments"


def test_published_weights_are_a_classifier_of_the_asked_architecture(graduated):
    school, _ = graduated
    classifier = load_classifier(school.output)
    assert classifier.genres == GENRES[:2]
    assert classifier.taps.layer_names == ("input", "conv1")
    assert classifier.taps.kernels[0].shape[2] == SMALL.n_filters


def test_result_is_that_of_the_card(graduated):
    school, result = graduated
    card = json.loads((school.output / "classifier.json").read_text("utf-8"))
    validation = card["validation"]
    assert result.track_accuracy == validation["track_accuracy"]
    assert list(result.track_interval) == validation["track_interval"]
    assert result.n_validation_tracks == validation["n_tracks"] == 2


def test_a_file_that_is_not_audio_is_skipped_and_named(graduated):
    (skipped,) = graduated[1].skipped
    assert "broken.wav" in skipped


def test_files_without_an_audio_suffix_are_also_counted_in_an_archive(graduated):
    assert graduated[1].passed_over == {".mid": 2, ".pdf": 1}


def test_a_second_training_computes_nothing_and_reports_the_same(school, graduated):
    assert school.train() == graduated[1].model_copy(
        update={"weights": str(school.output / "classifier.weights.h5")}
    )
    assert school.work == ()


def test_a_lost_card_is_put_back_without_training(school, graduated):
    card = school.output / "classifier.json"
    content = card.read_bytes()
    card.unlink()
    school.train()
    assert (card.read_bytes(), school.work) == (content, ())


def test_other_epochs_train_again_on_the_same_mels(school):
    school.train(n_epochs=1)
    assert school.work == ("model",)


@pytest.fixture
def amnst_train(capfd, environment, tmp_path):
    """Run `amnst train` in this process; return exit code, and stdout and stderr in one line."""

    def run(dataset, *options):
        capfd.readouterr()
        with environment(tmp_path), pytest.raises(SystemExit) as caught:
            main(["train", str(dataset), "--output", str(tmp_path / "model"), *options])
        out, err = capfd.readouterr()
        return caught.value.code or 0, out, " ".join(err.split())

    return run


def test_train_prints_where_the_weights_are(amnst_train, tracks, tmp_path):
    code, out, err = amnst_train(tracks, "--epochs", "1")
    assert (code, out) == (0, f"{tmp_path}/model/classifier.weights.h5\n")
    assert "per track" in err
    assert "2 tracks)" in err
    assert "skipped: " in err
    assert "passed over, because they are not tracks of a genre: 2 .mid, 1 .pdf" in err


@pytest.mark.parametrize(
    ("kept", "code"),
    [
        ([], "no_genres"),
        ([f"{GENRES[0]}/{GENRES[0]}.0000{n}.wav" for n in range(4)], "one_genre"),
        ([f"{genre}/{genre}.00000.wav" for genre in GENRES[:2]], "too_few_tracks"),
    ],
    ids=["no genres", "one genre", "too few tracks"],
)
def test_a_dataset_that_cannot_train_ends_with_4_and_a_reason(
    amnst_train, tracks, tmp_path, kept, code
):
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    for name in kept:
        (dataset / name).parent.mkdir(exist_ok=True)
        shutil.copy(tracks / name, dataset / name)
    exit_code, out, err = amnst_train(dataset)
    assert (exit_code, out) == (4, "")
    assert f"[{code}]" in err
    assert "Traceback" not in err
    assert not (tmp_path / "model").exists()


def test_a_dataset_that_is_not_there_ends_with_4(amnst_train, tmp_path):
    code, _, err = amnst_train(tmp_path / "none.tar.gz")
    assert code == 4
    assert "none.tar.gz does not exist [dataset_not_found]" in err


def test_an_archive_with_another_hash_ends_with_4(amnst_train, archive, sha256_of):
    code, _, err = amnst_train(archive, "--sha256", "0" * 64)
    assert code == 4
    assert f"sha256 is {sha256_of(archive)}" in err


def test_no_epochs_are_a_usage_error(amnst_train, tracks):
    code, _, err = amnst_train(tracks, "--epochs", "0")
    assert code == 2
    assert "n_epochs = 0 is outside" in err


def test_damaged_results_of_every_stage_heal_in_the_same_training(school):
    expected = (school.output / "classifier.weights.h5").read_bytes()
    for path in (school.root / "store" / "objects").rglob("*.*"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    shutil.rmtree(school.output)
    school.train()
    assert set(school.work) == {"segments", "segment-mels", "model"}
    assert (school.output / "classifier.weights.h5").read_bytes() == expected
