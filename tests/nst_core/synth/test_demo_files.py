"""The demo's files: enough to train and to render, made once."""

import tarfile

import numpy as np
import pytest

from nst_core.audio.reading import read_audio
from nst_core.synth import demo_files as demo
from nst_core.synth.demo_files import make_demo_files
from nst_core.synth.sounds import AMBIENCES, GENRES
from tasks.manifest.inputs import open_inputs
from tasks.manifest.reading import read_manifest

N_TRACKS = 2


@pytest.fixture(scope="module")
def small():
    """The same demo of fewer and shorter sounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_TRACKS_PER_GENRE", N_TRACKS)
        for name in ("_TRACK_S", "_MUSIC_S", "_AMBIENCE_S"):
            patch.setattr(demo, name, 1.0)
        yield


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new"
    make_demo_files(folder)
    return folder


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.[wt]a[vr]")}


def test_dataset_has_every_genre(folder):
    with tarfile.open(folder / "genres.tar") as tar:
        tracks = [name for name in tar.getnames() if name.endswith(".wav")]
    genres = [name.split("/")[1] for name in tracks]
    assert len(GENRES) >= 4
    assert {genre: genres.count(genre) for genre in GENRES} == dict.fromkeys(GENRES, N_TRACKS)
    assert len(tracks) == N_TRACKS * len(GENRES)


def test_manifest_pairs_every_ambience_with_music_that_is_there(folder):
    manifest = read_manifest(folder / "inputs" / "manifest.csv")
    assert manifest.problems == ()
    assert open_inputs(manifest.rows).problems == []
    assert len(manifest.rows) >= 4
    assert {row.id.partition("__")[0] for row in manifest.rows} == set(AMBIENCES)


def test_music_that_is_rendered_was_not_trained_on(folder):
    for genre in GENRES:
        rendered = read_audio(folder / "inputs" / f"{genre}.wav", sr=22_050, mono=True).y
        for track in sorted((folder / "dataset" / "genres" / genre).iterdir()):
            learned = read_audio(track, sr=22_050, mono=True).y
            assert not np.array_equal(rendered, learned)


def test_files_are_made_once(folder, small):
    before = written(folder)
    make_demo_files(folder)
    assert before
    assert written(folder) == before


def test_a_lost_file_is_made_again_with_the_same_bytes(folder, small):
    archive = folder / "genres.tar"
    tracks = sorted((folder / "dataset").rglob("*.wav"))
    content = tracks[0].read_bytes()
    tracks[0].unlink()
    archive.unlink()
    make_demo_files(folder)
    assert tracks[0].read_bytes() == content
    assert archive.is_file()
