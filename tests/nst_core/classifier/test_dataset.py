import shutil

import numpy as np
import pytest

from nst_core.audio.writing import write_audio
from nst_core.classifier.dataset import (
    AudioSegments,
    SegmentSet,
    analyse_segments,
    cut_tracks,
    load_audio_segments,
    load_segment_set,
    save_segments,
)
from nst_core.classifier.genres import index_genres
from nst_core.config import MelConfig, SegmentConfig
from nst_core.errors import DatasetError
from nst_core.spectral.mel import power_mel
from nst_core.synth.sounds import music_piece

SR = 22_050
ONE_SECOND = SegmentConfig(duration_s=1.0)
MEL = MelConfig()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two genres of two pieces of 3.2 s; one quiet, one half silent, one of them 44.1 kHz."""
    root = tmp_path_factory.mktemp("genres")
    for genre in ("folk", "rock"):
        (root / genre).mkdir()
        for seed in range(2):
            y = music_piece(genre, 3.2, seed=seed)
            if (genre, seed) == ("folk", 1):
                y[: 2 * SR] = 0
            if (genre, seed) == ("rock", 0):
                y *= 0.02
            if (genre, seed) == ("rock", 1):
                y = music_piece(genre, 3.2, seed=seed, sr=2 * SR)
            sr = 2 * SR if (genre, seed) == ("rock", 1) else SR
            write_audio(root / genre / f"{seed}.wav", y, sr, format="wav")
    return root


@pytest.fixture(scope="module")
def cut(root):
    return cut_tracks(index_genres(root), SR, ONE_SECOND)


@pytest.fixture(scope="module")
def data(cut):
    return analyse_segments(cut, MEL)


def test_every_track_gives_its_audible_seconds(cut):
    names = [track.path.as_posix() for track in cut.tracks]
    assert names == ["folk/0.wav", "folk/1.wav", "rock/0.wav", "rock/1.wav"]
    # 3.2 s are three whole segments; the remaining fifth is too short to keep.
    assert np.bincount(cut.track_of).tolist() == [3, 1, 3, 3]
    assert cut.y.shape == (10, SR)
    assert cut.y.dtype == np.float16


def test_every_segment_has_one_level_whatever_its_tracks_was(cut):
    level = np.sqrt(np.mean(cut.y.astype(float) ** 2, axis=1))
    np.testing.assert_allclose(level, 0.1, rtol=1e-3)


def test_the_samples_are_the_tracks_own_within_half_precision(cut):
    y = music_piece("folk", 3.2, seed=0)[SR : 2 * SR]
    segment = cut.y[1].astype("f4")
    scale = (segment @ y) / (y @ y)
    assert np.std(segment - scale * y) < 1e-3 * np.std(segment)


def test_a_resampled_track_keeps_its_tones(cut):
    y = music_piece("rock", 1.0, seed=1).astype("f4")
    own, other = (cut.y[cut.track_of == i][0].astype("f4") for i in (3, 2))

    def likeness(segment):
        a, b = (np.abs(np.fft.rfft(x))[:4000] for x in (segment, y))
        return np.corrcoef(a, b)[0, 1]

    assert likeness(own) > 0.8 > likeness(other) + 0.2


def test_threads_change_no_sample(root, cut):
    again = cut_tracks(index_genres(root), SR, ONE_SECOND, n_threads=3)
    np.testing.assert_array_equal(again.y, cut.y)


def test_a_tracks_place_on_the_machine_is_not_in_the_result(cut, root):
    assert not any(track.path.is_absolute() for track in cut.tracks)
    assert all((root / track.path).is_file() for track in cut.tracks)


def test_an_unreadable_file_is_skipped_and_named(root, tmp_path):
    for path in root.rglob("*.wav"):
        copy = tmp_path / path.relative_to(root)
        copy.parent.mkdir(exist_ok=True)
        for i in range(6):
            copy.with_stem(f"{copy.stem}{i}").write_bytes(path.read_bytes() + bytes(2 * i))
    (tmp_path / "rock" / "broken.wav").write_bytes(b"RIFF and nothing else")
    cut = cut_tracks(index_genres(tmp_path), SR, ONE_SECOND)
    assert len(cut.skipped) == 1
    assert "broken.wav" in cut.skipped[0]
    assert "broken.wav" not in {track.path.name for track in cut.tracks}


def test_too_many_unreadable_files_are_an_error(tmp_path):
    for genre in ("folk", "rock"):
        (tmp_path / genre).mkdir()
        for i in range(2):
            (tmp_path / genre / f"{i}.wav").write_bytes(f"no sound {i} of {genre}".encode())
    with pytest.raises(DatasetError) as caught:
        cut_tracks(index_genres(tmp_path), SR, ONE_SECOND)
    assert caught.value.code == "too_many_unreadable"


def test_tracks_shorter_than_half_a_segment_are_an_error(root):
    with pytest.raises(DatasetError, match="segment of 10 s") as caught:
        cut_tracks(index_genres(root), SR, SegmentConfig(duration_s=10.0))
    assert caught.value.code == "no_segments"


def test_mels_are_those_of_the_segments_in_tensorflows_axes(cut, data):
    assert data.M.shape == (10, 87, 384)
    for row in (0, 9):
        expected = power_mel(cut.y[row].astype("f4"), MEL).T
        # Below 6e-8 half precision has nothing; above it keeps 11 bits.
        np.testing.assert_allclose(data.M[row], expected, rtol=6e-4, atol=6e-8)


def test_threads_change_no_mel(cut, data):
    np.testing.assert_array_equal(analyse_segments(cut, MEL, n_threads=3).M, data.M)


def test_segments_and_labels_follow_the_tracks(data):
    folk, rock = data.tracks[:2], data.tracks[2:]
    assert data.genres == ("folk", "rock")
    assert data.segments_of(folk).tolist() == [0, 1, 2, 3]
    assert data.segments_of(rock[1:]).tolist() == [7, 8, 9]
    assert data.segments_of(()).size == 0
    assert data.labels(data.segments_of(data.tracks)).tolist() == [0] * 4 + [1] * 6
    assert data.labels(np.array([8, 1])).tolist() == [1, 0]


def test_both_kinds_come_back_from_disk(cut, data, tmp_path):
    skipped = AudioSegments(cut.y, cut.track_of, cut.tracks, ("rock/broken.wav: is empty",))
    save_segments(tmp_path / "sound.npz", skipped)
    save_segments(tmp_path / "mels.npz", data)
    sound, mels = (
        load_audio_segments(tmp_path / "sound.npz"),
        load_segment_set(tmp_path / "mels.npz"),
    )
    assert isinstance(mels, SegmentSet)
    np.testing.assert_array_equal(sound.y, cut.y)
    np.testing.assert_array_equal(mels.M, data.M)
    for found in (sound, mels):
        np.testing.assert_array_equal(found.track_of, cut.track_of)
        assert found.tracks == cut.tracks
    assert sound.skipped == skipped.skipped


def test_equal_segments_give_equal_bytes(cut, tmp_path):
    save_segments(tmp_path / "a.npz", cut)
    save_segments(tmp_path / "b.npz", cut)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("way", ["exchanged", "removed"])
def test_a_track_that_is_not_what_was_hashed_is_not_cut(root, tmp_path, way):
    shutil.copytree(root, tmp_path / "genres")
    index = index_genres(tmp_path)
    path = index.tracks[0].path
    if way == "exchanged":
        path.write_bytes(index.tracks[-1].path.read_bytes())
    else:
        path.unlink()
    with pytest.raises(DatasetError, match=r"folk/0\.wav.*start again") as caught:
        cut_tracks(index, SR, ONE_SECOND)
    assert caught.value.code == "dataset_changed"
