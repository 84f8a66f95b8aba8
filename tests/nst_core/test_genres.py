import shutil
from pathlib import Path

import pytest

from nst_core.errors import AudioError, DatasetError
from nst_core.genres import (
    Track,
    check_unreadable,
    find_genre_root,
    index_genres,
    k_folds,
    split_tracks,
)


def make_tree(root, genres=("blues", "metal"), n=3, suffix="wav"):
    for genre in genres:
        (root / genre).mkdir(parents=True)
        for i in range(n):
            (root / genre / f"{genre}.{i:05d}.{suffix}").write_bytes(f"{genre} {i}".encode())
    return root


def tracks_of(**genres):
    """Tracks with the given artists, e.g. blues=["a", "a", None]; contents differ."""
    return [
        Track(Path(f"data/{genre}/{i}.wav"), genre, artist, f"{genre} {i}")
        for genre, artists in genres.items()
        for i, artist in enumerate(artists)
    ]


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
    for suffix in ("au", "WAV", "ogg", "flac", "mp3", "txt"):
        make_tree(tmp_path / suffix, n=1, suffix=suffix)
        shutil.copytree(tmp_path / suffix, tmp_path / "all", dirs_exist_ok=True)
    (tmp_path / "all/blues/._blues.00000.ogg").write_bytes(b"metadata")
    (tmp_path / "all/blues/folder.wav").mkdir()
    assert len(index_genres(tmp_path / "all").tracks) == 2 * 5


@pytest.mark.parametrize(
    ("genres", "code"), [((), "no_genres"), (("blues",), "one_genre"), (None, "no_genres")]
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


def test_no_artist_is_on_both_sides_even_across_genres():
    tracks = tracks_of(
        blues=[f"b{i // 3}" for i in range(24)] + ["both"] * 3,
        metal=[f"m{i // 2}" for i in range(24)] + ["Both"] * 3,
    )
    for seed in range(5):
        for split in k_folds(tracks, 4, seed):
            artists = [
                {track.artist.casefold() for track in side}
                for side in (split.train, split.validation)
            ]
            assert not artists[0] & artists[1]
            assert len(split.train) + len(split.validation) == len(tracks)


def test_what_is_linked_through_a_copy_stays_together():
    tracks = tracks_of(blues=[None] * 8, metal=[None] * 8)
    copy = Track(Path("data/metal/copy.wav"), "metal", "Lemmy", tracks[0].sha256)
    other = Track(Path("data/metal/other.wav"), "metal", "lemmy", "other")
    linked = {tracks[0], copy, other}
    for seed in range(8):
        for split in k_folds([*tracks, copy, other], 4, seed):
            assert linked <= set(split.train) or linked <= set(split.validation)


def test_folds_cover_every_track_once_and_are_stratified():
    tracks = tracks_of(blues=[None] * 20, metal=[None] * 10)
    folds = k_folds(tracks, 5, seed=3)
    validated = [track for split in folds for track in split.validation]
    assert sorted(validated, key=str) == sorted(tracks, key=str)
    for split in folds:
        assert sum(track.genre == "metal" for track in split.validation) == 2


def test_a_split_depends_on_the_seed_alone():
    tracks = tracks_of(blues=[None] * 20, metal=[None] * 20)
    one = split_tracks(tracks, validation_share=0.2, seed=1)
    assert one == split_tracks(tracks, validation_share=0.2, seed=1)
    assert one != split_tracks(tracks, validation_share=0.2, seed=2)
    assert len(one.validation) == 8


def test_few_tracks_are_split_as_evenly_as_they_allow():
    split = split_tracks(
        tracks_of(blues=[None] * 3, metal=[None] * 3), validation_share=0.1, seed=0
    )
    assert sorted(track.genre for track in split.validation) == ["blues", "metal"]


@pytest.mark.parametrize(
    "genres",
    [
        {"blues": [None], "metal": [None] * 9},
        {"blues": ["one"] * 9, "metal": [None] * 9},
        {"blues": ["a", "b"], "metal": ["a", "b", "b"], "rock": ["a", "a"]},
    ],
)
def test_too_few_independent_tracks_are_refused(genres):
    with pytest.raises(DatasetError, match=r"cannot be split into \d+ parts") as caught:
        split_tracks(tracks_of(**genres), validation_share=0.2, seed=0)
    assert caught.value.code == "too_few_tracks"


def test_no_tracks_at_all_are_refused():
    with pytest.raises(DatasetError, match="no tracks"):
        split_tracks([], validation_share=0.2, seed=0)


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


def test_real_artists_are_never_divided(shared_data):
    index = index_genres(shared_data / "genres/emotify")
    assert len(index.tracks) == 400
    for split in k_folds(index.tracks, 5, seed=0):
        train, validation = (
            {track.artist for track in side} for side in (split.train, split.validation)
        )
        assert not train & validation
        assert 75 <= len(split.validation) <= 85
