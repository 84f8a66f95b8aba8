import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.writing import write_audio
from nst_core.classifier.dataset import load_audio_segments, load_segment_set
from nst_core.config import MelConfig, SegmentConfig
from nst_core.errors import DatasetError
from nst_core.synth.sounds import music_piece
from tasks.jobs.training import SegmentJob, SegmentMelJob
from tasks.mels import compute_segment_mels
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.segment import describe_dataset, segment_tracks
from tasks.storage.errors import StorageError

SR = 22_050
CONFIG = SegmentConfig(duration_s=1.0)


@pytest.fixture(scope="session")
def _dataset_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset") / "genres"
    for genre in ("folk", "rock"):
        (root / genre).mkdir(parents=True)
        for number in range(3):
            y = music_piece(genre, 2.0, seed=number)
            write_audio(root / genre / f"{genre}.{number}.wav", y, SR, format="wav")
    return root.parent


@pytest.fixture
def dataset(_dataset_once: Path, tmp_path: Path) -> Path:
    """Two genres of three tracks of two seconds."""
    return shutil.copytree(_dataset_once, tmp_path / "dataset")


def _job(dataset: Path, config: SegmentConfig = CONFIG) -> SegmentJob:
    return describe_dataset(str(dataset), sr=SR, config=config)


def test_tracks_become_segments_that_know_their_track(dataset: Path, workspace: Workspace) -> None:
    job = _job(dataset)
    record = segment_tracks.fn(job, workspace)
    assert record.meta["n_tracks"] == 6
    assert record.meta["n_segments"] == 12
    assert record.meta["skipped"] == []
    with artefact(job, workspace) as path:
        segments = load_audio_segments(path)
    assert segments.y.shape == (12, SR)
    assert np.bincount(segments.track_of).tolist() == [2] * 6
    assert {track.path.as_posix() for track in segments.tracks} == {
        f"{genre}/{genre}.{number}.wav" for genre in ("folk", "rock") for number in range(3)
    }


def test_unreadable_tracks_are_listed_and_the_rest_is_used(
    dataset: Path, workspace: Workspace
) -> None:
    (dataset / "genres" / "folk" / "folk.1.wav").write_bytes(b"no sound")
    record = segment_tracks.fn(_job(dataset), workspace)
    assert record.meta["n_tracks"] == 5
    (skipped,) = record.meta["skipped"]
    assert "folk.1.wav: " in skipped


def test_tracks_of_every_kind_are_read_and_ignored_files_are_counted(
    dataset: Path, workspace: Workspace
) -> None:
    before = _job(dataset)
    assert before.passed_over == ()
    for number in range(2):
        path = dataset / "genres" / "folk" / f"folk.{number}.wav"
        sf.write(path.with_suffix(".aiff"), *sf.read(path))
        path.unlink()
    (dataset / "genres" / "rock" / "rock.9.mid").write_bytes(b"MThd")
    (dataset / "genres" / "rock" / "cover.jpg").write_bytes(b"jpeg")
    job = _job(dataset)
    assert job.passed_over == ((".jpg", 1), (".mid", 1))
    assert dataclasses.replace(job, passed_over=()).key == job.key
    assert segment_tracks.fn(job, workspace).meta["n_tracks"] == 6


def test_too_many_unreadable_tracks_are_refused_and_named(
    dataset: Path, workspace: Workspace
) -> None:
    for number in range(3):
        (dataset / "genres" / "folk" / f"folk.{number}.wav").write_bytes(b"no sound %d" % number)
    job = _job(dataset)
    with pytest.raises(DatasetError, match=r"3 of 6 tracks .*folk\.0\.wav") as caught:
        segment_tracks.fn(job, workspace)
    assert caught.value.code == "too_many_unreadable"
    assert not workspace.store.exists(job.stage, job.key)


def test_a_dataset_without_two_genres_is_refused(dataset: Path, tmp_path: Path) -> None:
    shutil.rmtree(dataset / "genres" / "rock")
    for folder, code in ((dataset, "one_genre"), (tmp_path / "gone", "no_genres")):
        with pytest.raises(DatasetError) as caught:
            _job(folder)
        assert caught.value.code == code


def test_a_key_follows_content_and_windows_and_not_the_folder(
    dataset: Path, tmp_path: Path
) -> None:
    job = _job(dataset)
    moved = shutil.copytree(dataset, tmp_path / "elsewhere")
    assert _job(moved).key == job.key
    others = [_job(dataset, SegmentConfig(duration_s=1.0, overlap=0.5))]
    others.append(dataclasses.replace(job, sr=16_000))
    (moved / "genres" / "folk" / "folk.0.wav").rename(moved / "genres" / "rock" / "folk.0.wav")
    others.append(_job(moved))
    shutil.copy(dataset / "genres" / "rock" / "rock.0.wav", dataset / "genres" / "rock" / "x.wav")
    others.append(_job(dataset))
    assert len({job.key, *(other.key for other in others)}) == 5


def test_a_second_run_reads_no_track(
    dataset: Path, workspace: Workspace, made: Callable[[], list[str]]
) -> None:
    job = _job(dataset)
    mels = SegmentMelJob(segments=job)
    first = segment_tracks.fn(job, workspace), compute_segment_mels.fn(mels, workspace)
    assert made() == ["segments", "segment-mels"]
    shutil.rmtree(dataset)
    assert (segment_tracks.fn(job, workspace), compute_segment_mels.fn(mels, workspace)) == first
    assert made() == []


def test_a_dataset_that_has_changed_is_not_cut_under_the_old_key(
    dataset: Path, workspace: Workspace
) -> None:
    job = _job(dataset)
    (dataset / "genres" / "folk" / "folk.0.wav").unlink()
    with pytest.raises(DatasetError, match="changed while the flow was running") as caught:
        segment_tracks.fn(job, workspace)
    assert caught.value.code == "dataset_changed"
    assert not workspace.store.exists(job.stage, job.key)


def test_segments_become_mels_in_their_order(dataset: Path, workspace: Workspace) -> None:
    job = SegmentMelJob(segments=_job(dataset))
    segment_tracks.fn(job.segments, workspace)
    assert compute_segment_mels.fn(job, workspace).meta["n_segments"] == 12
    with artefact(job.segments, workspace) as path:
        segments = load_audio_segments(path)
    with artefact(job, workspace) as path:
        mels = load_segment_set(path)
    assert mels.M.shape == (12, 1 + SR // 256, 384)
    assert mels.tracks == segments.tracks
    assert mels.track_of.tolist() == segments.track_of.tolist()
    other = dataclasses.replace(job, mel=MelConfig(n_mels=128))
    assert other.key != job.key


def test_mels_without_their_segments_say_so(dataset: Path, workspace: Workspace) -> None:
    with pytest.raises(StorageError, match="segments artefact"):
        compute_segment_mels.fn(SegmentMelJob(segments=_job(dataset)), workspace)
