import shutil
from pathlib import Path

import pytest

from nst_core.classifier.genres import check_unreadable, find_genre_root, index_genres
from nst_core.errors import AudioError, DatasetError


def make_tree(root, genres=("blues", "metal"), n=3, suffix="wav"):
    for genre in genres:
        (root / genre).mkdir(parents=True)
        for i in range(n):
            name = f"{Path(genre).name}.{i:05d}.{suffix}"
            (root / genre / name).write_bytes(f"{genre} {i}".encode())
    return root


@pytest.mark.parametrize(
    "place", ["", "genres", "genres_original", "Data/genres_original", "gtzan/genres", "gtzan"]
)
def test_the_known_layouts_are_found(tmp_path, place):
    make_tree(tmp_path / place)
    (tmp_path / place / "images").mkdir()
    (tmp_path / place / "__MACOSX").mkdir()
    assert find_genre_root(tmp_path) == tmp_path / place
    index = index_genres(tmp_path)
    assert index.genres == ("blues", "metal")
    assert [track.path.name for track in index.tracks[:2]] == ["blues.00000.wav", "blues.00001.wav"]


def test_every_suffix_counts_and_macos_leftovers_do_not(tmp_path):
    sounds = ("au", "WAV", "ogg", "flac", "mp3", "aif", "AIFF", "m4a", "opus", "w64", "webm")
    for suffix in (*sounds, "txt", "MID"):
        make_tree(tmp_path / suffix, n=1, suffix=suffix)
        shutil.copytree(tmp_path / suffix, tmp_path / "all", dirs_exist_ok=True)
    (tmp_path / "all/blues/._blues.00000.ogg").write_bytes(b"metadata")
    (tmp_path / "all/blues/folder.wav").mkdir()
    (tmp_path / "all/metal/LICENCE").write_text("free")
    index = index_genres(tmp_path / "all")
    assert len(index.tracks) == 2 * len(sounds)
    assert index.passed_over == (("", 1), (".mid", 2), (".txt", 2))


def test_the_tracks_of_albums_belong_to_their_genre(tmp_path):
    make_tree(tmp_path / "set", n=1)
    for genre in ("blues", "metal"):
        make_tree(
            tmp_path / "set" / genre, ("First album/CD 1", "Second album"), n=2, suffix="aiff"
        )
    (tmp_path / "set/blues/Second album/cover.jpg").write_bytes(b"picture")
    (tmp_path / "set/blues/Second album/again").symlink_to(tmp_path / "set/blues")
    index = index_genres(tmp_path)
    assert index.genres == ("blues", "metal")
    assert len(index.tracks) == 2 * (1 + 2 * 2)
    assert index.passed_over == ((".jpg", 1),)


def test_a_sound_in_no_genre_folder_is_counted(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "loose.wav").write_bytes(b"loose")
    (tmp_path / "._loose.wav").write_bytes(b"metadata")
    assert index_genres(tmp_path).passed_over == ((".wav in no genre folder", 1),)


@pytest.mark.parametrize(
    ("genres", "code"),
    [
        ((), "no_genres"),
        (("blues",), "one_genre"),
        (None, "no_genres"),
        (("Train/blues", "Train/metal", "test/blues"), "no_genres"),
    ],
)
def test_a_folder_that_cannot_train_is_refused_by_name(tmp_path, genres, code):
    folder = tmp_path / "dataset"
    if genres is not None:
        folder.mkdir()
        make_tree(folder, genres)
    with pytest.raises(DatasetError, match="dataset") as caught:
        index_genres(folder)
    assert caught.value.code == code


def test_artists_come_from_the_table(tmp_path):
    make_tree(tmp_path)
    table = (
        "\ufefffile,genre,artist\r\nblues/blues.00001.wav,blues,Muddy\r\nblues/gone.wav,blues,X\r\n"
    )
    (tmp_path / "tracks.csv").write_text(table + "metal/metal.00000.wav,metal, \r\n", "utf-8")
    artists = {track.path.name: track.artist for track in index_genres(tmp_path).tracks}
    assert artists.pop("blues.00001.wav") == "Muddy"
    assert set(artists.values()) == {None}


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"name,artist\nblues/blues.00000.wav,A\n",
        b"file,artist\nelsewhere/blues.00000.wav,A\n",
        b"file,genre,artist\nblues/blues.00000.wav,metal,A\n",
        b"file,artist\nblues/blues.00000.wav,Bj\xf6rk\n",
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, table):
    make_tree(tmp_path)
    (tmp_path / "tracks.csv").write_bytes(table)
    with pytest.raises(DatasetError, match=r"tracks\.csv") as caught:
        index_genres(tmp_path)
    assert caught.value.code == "bad_tracks_csv"


@pytest.mark.parametrize(
    ("n_bad", "n_total", "passes"),
    [
        (2, 10, True),
        (3, 10, False),
        (10, 1000, True),
        (11, 1000, False),
        (0, 0, True),
    ],
)
def test_a_hundredth_or_two_files_may_be_unreadable(n_bad, n_total, passes):
    bad = [AudioError("truncated", f"{i}.wav", "is cut short") for i in range(n_bad)]
    if passes:
        check_unreadable(bad, n_total, "data")
        return
    with pytest.raises(DatasetError, match=f"{n_bad} of {n_total}.*0.wav: is cut short") as caught:
        check_unreadable(bad, n_total, "data")
    assert caught.value.code == "too_many_unreadable"
