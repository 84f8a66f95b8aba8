from pathlib import Path

import pytest

from nst_core.classifier.genres import Track, index_genres
from nst_core.classifier.splits import k_folds, split_tracks
from nst_core.errors import DatasetError


def tracks_of(**genres):
    """Tracks with the given artists, e.g. blues=["a", "a", None]; contents differ."""
    return [
        Track(Path(f"data/{genre}/{i}.wav"), genre, artist, f"{genre} {i}")
        for genre, artists in genres.items()
        for i, artist in enumerate(artists)
    ]


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


def test_tracks_linked_by_a_copy_stay_together():
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


def test_real_artists_are_never_divided(shared_data):
    index = index_genres(shared_data / "genres/emotify")
    assert len(index.tracks) == 400
    for split in k_folds(index.tracks, 5, seed=0):
        train, validation = (
            {track.artist for track in side} for side in (split.train, split.validation)
        )
        assert not train & validation
        assert 75 <= len(split.validation) <= 85
