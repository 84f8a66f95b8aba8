import io
import re
import unicodedata
from pathlib import Path

import pytest

from nst_core.errors import ConfigError
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
from tasks.manifest.row import COLUMNS
from tasks.manifest.settings import read_settings


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


def test_values_of_a_column_multiply_the_rows_and_end_the_ids(root: Path) -> None:
    settings = {
        "strength": ["0.25", "1"],
        "preset": ["real", "closed"],
        "loudness_lufs": ["-18"],
        "x_mood": ["calm"],
        "format": ["flac"],
    }
    rows = plan_rows(_single("rain.wav"), ["tune.wav"], settings=settings)
    assert [(row.id, row.preset, row.strength) for row in rows] == [
        ("rain__tune__real__0.25", "real", 0.25),
        ("rain__tune__real__1", "real", 1.0),
        ("rain__tune__closed__0.25", "closed", 0.25),
        ("rain__tune__closed__1", "closed", 1.0),
    ]
    assert {(row.loudness_lufs, row.format) for row in rows} == {(-18.0, "flac")}
    text = io.StringIO()
    write_manifest(rows, text)
    read = read_manifest(text.getvalue().encode(), input_roots=[str(root)])
    assert read.problems == ()
    assert [row.id for row in read.rows] == [row.id for row in rows]
    assert read.rows[3].output == "rain__tune__closed__1.flac"
    assert read.rows[3].extra == {"x_mood": "calm"}


def test_every_column_that_is_not_of_a_single_row_can_be_set() -> None:
    values = {
        "enabled": "false", "preset": "mel", "strength": "0.5", "start": "noise",
        "iterations": "5", "content_weight": "2", "style_weight": "3", "learning_rate": "0.1",
        "seed": "7", "start_s": "1.5", "duration_s": "3", "sample_rate": "44100",
        "format": "flac", "subtype": "PCM_24", "loudness_lufs": "-20",
    }  # fmt: skip
    assert set(values) <= set(COLUMNS)
    settings = read_settings(f"{name}={value}" for name, value in values.items())
    (row,) = plan_rows(_single("a.wav"), ["b.wav"], settings=settings)
    text = io.StringIO()
    write_manifest([row], text)
    header, cells = (line.split(",") for line in text.getvalue().splitlines())
    written = dict(zip(header, cells, strict=True))
    assert set(values) < set(written)
    (read,) = read_manifest(text.getvalue().encode(), input_roots=["/data"]).rows
    assert all(getattr(read, name) == getattr(row, name) for name in values)


@pytest.mark.parametrize(
    ("texts", "code", "rule"),
    [
        (["strength"], "bad_value", "must be column=value"),
        (["strength="], "bad_value", "must be column=value"),
        (["strengthh=1"], "unknown_column", 'did you mean "strength"?'),
        (["strength=2"], "bad_value", 'strength "2" is outside 0..1'),
        (["preset=loud"], "bad_value", 'preset "loud" is not one of'),
        (["iterations=many"], "bad_value", 'iterations "many" must be a whole number'),
        (["seed=1", "seed=2", "seed=1"], "bad_value", "seed has a value twice"),
        (["id=a"], "bad_value", 'column "id" differs from row to row'),
        (["content_weight=0", "style_weight=0"], "bad_value", "are both 0"),
        (["format=wav", "subtype=VORBIS"], "bad_value", "is not one of PCM_24"),
    ],
)
def test_a_setting_that_breaks_a_rule_is_refused(texts: list[str], code: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(rule)) as caught:
        plan_rows(_single("a.wav"), ["b.wav"], settings=read_settings(texts))
    assert caught.value.code == code


def test_long_values_leave_the_ids_valid_and_unique(root: Path) -> None:
    settings = {f"x_{name}": ["long " * 20 + "one", "long " * 20 + "two"] for name in "abcd"}
    rows = plan_rows(_single("r" * 99), ["m" * 99], settings=settings)
    text = io.StringIO()
    write_manifest(rows, text)
    read = read_manifest(text.getvalue().encode(), input_roots=[str(root)])
    assert (len(read.rows), read.problems) == (16, ())


@pytest.mark.parametrize(
    "name",
    ["new\nline.wav", "tab\there.wav", "back\\slash.wav", " first.wav", "last.wav ", "\udcff.wav"],
)
def test_a_file_that_no_manifest_can_name_is_named_by_the_plan(name: str) -> None:
    with pytest.raises(ManifestError, match="rename them") as caught:
        plan_rows(_single("rain.wav"), ["good.wav", name])
    assert caught.value.code == "bad_name"
    assert ascii(name) in str(caught.value)
    assert "good.wav" not in str(caught.value)


def test_at_most_ten_such_files_are_spelled_out() -> None:
    with pytest.raises(ManifestError, match=r"and 5 more$"):
        plan_rows(_single("rain.wav"), [f"{number}\t.wav" for number in range(15)])


def test_hidden_files_of_a_folder_are_not_planned(weather: Path) -> None:
    for name in ("rain/._a.wav", "rain/.trash/d.wav", "rain/__MACOSX/e.wav"):
        (weather / name).parent.mkdir(exist_ok=True)
        (weather / name).touch()
    assert expand_globs(["rain"]) == ["rain/a.wav", "rain/b.wav"]


def test_a_file_whose_name_reads_as_a_blend_is_itself_and_cannot_be_planned(weather: Path) -> None:
    (weather / "rain + wind.wav").touch()
    with pytest.raises(ManifestError, match="rename it"):
        plan_rows(expand_ambiences(["rain + wind.wav"]), ["waltz.wav"])
    assert expand_globs(["rain + wind.wav"]) == ["rain + wind.wav"]


def test_what_a_plan_names_from_another_folder_is_read_back(
    weather: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (weather / "~tilde.wav").touch()
    (weather / "here").mkdir()
    monkeypatch.chdir(weather / "here")
    names = [*expand_globs(["../rain/a.wav"]), *expand_globs(["../~*"], absolutely=True)]
    assert names == [str(weather / "rain/a.wav"), str(weather / "~tilde.wav")]
    monkeypatch.chdir(weather)
    assert expand_globs(["~*"]) == ["./~tilde.wav"]
    rows = plan_rows(_single("./~tilde.wav"), names)
    text = io.StringIO()
    write_manifest(rows, text)
    read = read_manifest(text.getvalue().encode(), input_roots=[str(weather)])
    assert read.problems == ()
    assert all(Path(row.music).is_file() for row in read.rows)
    assert Path(read.rows[0].ambience.places[0]).is_file()


def test_an_accent_on_the_command_line_finds_its_file_in_either_form(weather: Path) -> None:
    for form in ("NFC", "NFD"):
        (weather / form).mkdir()
        (weather / form / unicodedata.normalize(form, "für.wav")).touch()
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        typed = unicodedata.normalize(other, f"{form}/für.wav")
        assert expand_globs([typed]) == [unicodedata.normalize(form, f"{form}/für.wav")]
