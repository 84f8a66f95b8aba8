import io
from pathlib import Path

import pytest

from tasks.manifest.cells import Ambiences
from tasks.manifest.planning import (
    default_id,
    expand_ambiences,
    expand_globs,
    plan_rows,
    write_manifest,
)
from tasks.manifest.problems import ManifestError
from tasks.manifest.reading import Manifest, read_manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inputs").mkdir()
    return tmp_path / "inputs"


def _read(root: Path, *lines: str, **options: object) -> Manifest:
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(root / "manifest.csv", **options)


def _single(*places: str) -> list[Ambiences]:
    return [Ambiences((place,), (1.0,)) for place in places]


def test_a_plan_is_every_ambience_on_every_music_with_unique_ids() -> None:
    rows = plan_rows(_single("x/rain.wav", "y/rain.wav"), ["a/waltz.wav", "雨.wav", "a/Waltz.flac"])
    assert [row.id for row in rows[:1]] == ["rain__waltz"]
    assert len({row.id.lower() for row in rows}) == 6
    assert [(str(row.ambience), row.music) for row in rows[:2]] == [
        ("x/rain.wav", "a/waltz.wav"),
        ("x/rain.wav", "雨.wav"),
    ]


def test_a_written_plan_is_read_back_the_same(root: Path) -> None:
    rows = plan_rows(_single("rain.wav", "wind, strong.wav"), ["waltz.wav"])
    text = io.StringIO()
    write_manifest(rows, text)
    assert text.getvalue().splitlines()[0] == "id,ambience,music"
    manifest = read_manifest(text.getvalue().encode(), input_roots=[str(root)])
    assert manifest.problems == ()
    assert [row.id for row in manifest.rows] == [row.id for row in rows]
    assert str(manifest.rows[1].ambience) == str(root / "wind, strong.wav")


def test_written_settings_are_read_back(root: Path) -> None:
    before = _read(root, "id,ambience,music,output,strength,enabled,seed,x_mood",
                   "a,rain.wav,waltz.wav,q/r.ogg,0.25,false,0,calm").rows  # fmt: skip
    text = io.StringIO()
    write_manifest(before, text)
    assert read_manifest(text.getvalue().encode(), input_roots=[str(root)]).rows == before


def test_default_ids_fit_the_rule_for_ids() -> None:
    assert default_id("a/Rain on roof.wav", "s3://b/Été.flac") == "Rain_on_roof__Ete"
    assert len(default_id("a" * 300, "b" * 300)) <= 100
    assert default_id("雨.wav", "a.wav") != default_id("風.wav", "a.wav")


def test_the_id_of_a_blend_names_its_ambiences() -> None:
    assert default_id("a/rain.wav*2 + wind.wav", "waltz.wav") == "rain-wind__waltz"


@pytest.fixture
def weather(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root)
    for name in ("rain/a.wav", "rain/b.wav", "wind/c.wav"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_patterns_joined_by_a_plus_are_every_blend_of_their_files(weather: Path) -> None:
    found = expand_ambiences(["rain/*.wav*2 + wind/*.wav", "rain/a*"])
    assert [str(each) for each in found] == [
        "rain/a.wav*2 + wind/c.wav",
        "rain/b.wav*2 + wind/c.wav",
        "rain/a.wav",
    ]


def test_a_planned_blend_is_read_back_the_same(weather: Path) -> None:
    rows = plan_rows(expand_ambiences(["rain/*.wav*0.5 + wind/c.wav*3"]), ["waltz.wav"])
    text = io.StringIO()
    write_manifest(rows, text)
    manifest = read_manifest(text.getvalue().encode(), input_roots=[str(weather)])
    assert manifest.problems == ()
    assert [row.id for row in manifest.rows] == ["a-c__waltz", "b-c__waltz"]
    assert manifest.rows[0].ambience.weights == (0.5, 3.0)


def test_a_blend_that_no_manifest_may_hold_is_not_planned(weather: Path) -> None:
    for pattern, rule in (
        ("rain/a.wav*-1 + wind/c.wav", 'gives "rain/a.wav" the weight -1'),
        (" + ".join(["wind/c.wav"] * 9), "names 9 ambiences; at most 8 are allowed"),
    ):
        with pytest.raises(ManifestError, match=rule) as caught:
            plan_rows(expand_ambiences([pattern]), ["waltz.wav"])
        assert caught.value.code == "bad_value"


def test_a_star_in_a_single_pattern_is_not_a_weight(weather: Path) -> None:
    (weather / "take2").write_bytes(b"")
    assert expand_ambiences(["ta*2"]) == [Ambiences(("take2",), (1.0,))]


def test_a_blend_with_a_pattern_of_no_file_is_refused(weather: Path) -> None:
    with pytest.raises(ManifestError, match=r'no file matches "fire/\*\.wav"'):
        expand_ambiences(["rain/*.wav + fire/*.wav"])


@pytest.mark.parametrize("name", ["rain + wind.wav", "take*2"])
def test_a_file_whose_name_reads_as_a_blend_is_not_planned(name: str) -> None:
    with pytest.raises(ManifestError, match="rename it"):
        plan_rows(_single(name), ["waltz.wav"])


def test_patterns_become_files_each_once_and_in_order(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "sub" / "deep").mkdir(parents=True)
    for name in ("b.wav", "a.wav", "c.flac", "sub/deep/d.wav"):
        (root / name).write_bytes(b"")
    assert expand_globs(["c.flac", "*.wav", "a.*"]) == ["c.flac", "a.wav", "b.wav"]
    assert expand_globs(["**/*.wav"]) == ["a.wav", "b.wav", "sub/deep/d.wav"]
    assert expand_globs([str(root / "c*")]) == [str(root / "c.flac")]


def test_a_folder_means_its_sounds_and_those_of_its_folders(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "songs" / "album").mkdir(parents=True)
    for name in ("b.flac", "a.MP3", "cover.jpg", "notes.txt", "album/c.ogg"):
        (root / "songs" / name).write_bytes(b"")
    assert expand_globs(["songs"]) == ["songs/a.MP3", "songs/album/c.ogg", "songs/b.flac"]
    assert expand_globs(["songs/b.flac"], absolutely=True) == [str(root / "songs/b.flac")]


def test_a_path_that_exists_is_itself_before_it_is_a_pattern(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    for name in ("take [1].wav", "take 1.wav"):
        (root / name).write_bytes(b"")
    assert expand_globs(["take [1].wav"]) == ["take [1].wav"]


def test_a_pattern_or_a_folder_without_a_sound_is_refused(root: Path) -> None:
    (root / "folder").mkdir()
    for pattern, words in (("f*.wav", "no file matches"), ("folder", "contains no .wav, ")):
        with pytest.raises(ManifestError, match=words) as caught:
            expand_globs([str(root / pattern)])
        assert caught.value.code == "no_match"
