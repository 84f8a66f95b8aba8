import dataclasses
import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nst_core.audio.writing import write_audio
from nst_core.config import ClassifierConfig, SegmentConfig, TrainingConfig
from nst_core.errors import DatasetError
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.synth.sounds import music_piece
from tasks.jobs.training import SegmentMelJob, TrainJob
from tasks.mels import compute_segment_mels
from tasks.model import fetch_model
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.segment import describe_dataset, segment_tracks
from tasks.storage.errors import StorageError
from tasks.storage.files import read_bytes, sha256_file
from tasks.storage.uris import join
from tasks.train import publish_model, train_cnn

SR = 22_050
FILES = [
    "classifier.confusion.png",
    "classifier.curves.png",
    "classifier.json",
    "classifier.md",
    "classifier.weights.h5",
]


def _prepared(folder: Path, workspace: Workspace, n_tracks: int) -> TrainJob:
    for genre in ("folk", "rock"):
        (folder / genre).mkdir(parents=True)
        for number in range(n_tracks):
            y = music_piece(genre, 2.0, seed=number)
            write_audio(folder / genre / f"{number}.wav", y, SR, format="wav")
    segments = describe_dataset(str(folder), sr=SR, config=SegmentConfig(duration_s=1.0))
    mels = SegmentMelJob(segments=segments)
    segment_tracks.fn(segments, workspace)
    compute_segment_mels.fn(mels, workspace)
    return TrainJob(
        mels=mels,
        dataset="little: 8 tracks",
        licence="Apache-2.0",
        architecture=ClassifierConfig(n_filters=8, n_layers=1),
        training=TrainingConfig(n_epochs=2, batch_size=4, validation_share=0.25),
    )


def _train(job: TrainJob, workspace: Workspace) -> None:
    with warnings.catch_warnings():
        # Keras and NumPy 2 disagree on how an array is copied.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        train_cnn.fn(job, workspace)


@pytest.fixture(scope="module")
def _trained_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainJob, Path]:
    setup_tensorflow(2)
    folder = tmp_path_factory.mktemp("trained")
    workspace = Workspace(str(folder / "store"), str(folder / "scratch"), 2)
    job = _prepared(folder / "dataset", workspace, 4)
    _train(job, workspace)
    return job, folder


@pytest.fixture
def job(_trained_once: tuple[TrainJob, Path]) -> TrainJob:
    return _trained_once[0]


@pytest.fixture
def trained(_trained_once: tuple[TrainJob, Path], workspace: Workspace) -> Workspace:
    """A workspace that contains `job`; tests may change it."""
    shutil.copytree(_trained_once[1] / "store", workspace.store_uri)
    return workspace


def test_weights_card_and_pictures_are_one_artefact(trained: Workspace, job: TrainJob) -> None:
    record = trained.store.find(job.stage, job.key)
    with artefact(job, trained) as path, zipfile.ZipFile(path) as archive:
        assert archive.namelist() == FILES
        assert archive.testzip() is None
        card = json.loads(archive.read("classifier.json"))
        for name in FILES[:2]:
            assert archive.read(name).startswith(b"\x89PNG")
        assert "Apache-2.0" in archive.read("classifier.md").decode()
    assert (card["dataset"], card["licence"]) == ("little: 8 tracks", "Apache-2.0")
    assert card["genres"] == ["folk", "rock"]
    validation = card["validation"]
    assert record.meta["track_accuracy"] == validation["track_accuracy"]
    assert record.meta["segment_accuracy"] == validation["segment_accuracy"]
    assert record.meta["n_validation_tracks"] == validation["n_tracks"] == 2
    assert record.meta["track_interval"] == validation["track_interval"]


def test_a_second_run_trains_nothing(
    trained: Workspace, job: TrainJob, made: Callable[[], list[str]]
) -> None:
    before = trained.store.find(job.stage, job.key)
    trained.store.delete(job.mels.stage, job.mels.key)
    assert train_cnn.fn(job, trained) == before
    assert made() == []


def test_the_same_data_and_seed_give_the_same_bytes(
    trained: Workspace, job: TrainJob, made: Callable[[], list[str]]
) -> None:
    before = trained.store.find(job.stage, job.key)
    trained.store.delete(job.stage, job.key)
    _train(job, trained)
    assert made() == ["model"]
    assert trained.store.find(job.stage, job.key).sha256 == before.sha256


def test_a_key_follows_data_network_schedule_and_words(job: TrainJob) -> None:
    segments = dataclasses.replace(job.mels.segments, content="0" * 64)
    others = [
        dataclasses.replace(job, mels=dataclasses.replace(job.mels, segments=segments)),
        dataclasses.replace(job, architecture=ClassifierConfig(n_filters=9, n_layers=1)),
        dataclasses.replace(job, training=dataclasses.replace(job.training, seed=1)),
        dataclasses.replace(job, dataset="another"),
        dataclasses.replace(job, licence="another"),
    ]
    assert len({job.key, *(other.key for other in others)}) == 6


def test_a_published_model_is_whole_and_can_be_used(
    trained: Workspace, job: TrainJob, tmp_path: Path
) -> None:
    weights = Path(publish_model.fn(job, trained, str(tmp_path / "model")))
    assert sorted(path.name for path in weights.parent.iterdir()) == FILES
    model = fetch_model(str(weights.parent), trained)
    assert (model.path, model.sha256) == (str(weights), sha256_file(weights))
    times = {path.stat().st_mtime_ns: path.name for path in weights.parent.iterdir()}
    assert times[max(times)] == "classifier.json", "the card comes last"


def test_a_model_is_published_to_a_bucket(trained: Workspace, job: TrainJob, bucket: str) -> None:
    uri = publish_model.fn(job, trained, join(bucket, "model"))
    assert uri == join(bucket, "model", "classifier.weights.h5")
    model = fetch_model(uri, trained)
    card = json.loads(read_bytes(join(bucket, "model", "classifier.json")))
    assert model.sha256 == card["sha256"]


def test_a_failed_publication_leaves_no_card(
    trained: Workspace, job: TrainJob, tmp_path: Path
) -> None:
    # A folder where the weights must go fails for root too, unlike a missing permission.
    (tmp_path / "model" / "classifier.weights.h5").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"classifier\.weights\.h5"):
        publish_model.fn(job, trained, str(tmp_path / "model"))
    assert not (tmp_path / "model" / "classifier.json").exists()


def test_too_few_tracks_are_refused_and_nothing_is_kept(
    workspace: Workspace, tmp_path: Path
) -> None:
    job = _prepared(tmp_path / "dataset", workspace, 1)
    with pytest.raises(DatasetError, match="add tracks") as caught:
        train_cnn.fn(job, workspace)
    assert caught.value.code == "too_few_tracks"
    assert not workspace.store.exists(job.stage, job.key)


def test_importing_the_stages_does_not_import_tensorflow() -> None:
    modules = "tasks.train, tasks.transfer, tasks.invert, tasks.jobs.from_rows, tasks.report.tables"
    code = f"import sys, {modules}; print({{'tensorflow', 'keras'}} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
