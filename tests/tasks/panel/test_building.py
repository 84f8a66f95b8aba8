"""A listening test is really built: its sounds, what it hides, and what goes wrong."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.loudness import loudness_lufs
from nst_core.audio.writing import write_audio
from nst_core.errors import ConfigError
from tasks.manifest.reading import read_manifest
from tasks.model import Model
from tasks.panel.building import Panel, PanelOptions, build_panel
from tasks.panel.errors import PanelError
from tasks.panel.key import Key, read_key
from tasks.panel.page.writing import Trial, render_page
from tasks.panel.pairs import ready_made_sources, sources_of_rows
from tasks.running.workspace import Workspace

pytestmark = pytest.mark.heavy

HOSTILE = """rain </script><script>alert("1")</script> '#?%é.wav""".replace("/", "|")
MANIFEST = f"""ambience,music,id,preset,start_s,enabled
"{HOSTILE.replace('"', '""')}",tune.wav,first,closed,,
wind.wav,tune.wav,second,closed,1,
gone.wav,tune.wav,third,closed,,
wind.wav,tune.wav,off,closed,,false
"""


def build(sounds: Path, output: Path, workspace: Workspace, model: Model) -> tuple[Panel, list]:
    inputs = output.with_name("inputs")
    inputs.mkdir(exist_ok=True)
    for name, target in ((HOSTILE, "rain.wav"), ("wind.wav",) * 2, ("tune.wav",) * 2):
        (inputs / name).write_bytes((sounds / target).read_bytes())
    manifest = inputs / "manifest.csv"
    manifest.write_text(MANIFEST, "utf-8")
    lines: list[str] = []
    options = PanelOptions(strengths=(0.5, 1.0), model=model.path)
    rows = read_manifest(manifest).rows
    sources = sources_of_rows(rows, "real")
    return build_panel(sources, str(output), workspace, options, tell=lines.append), lines


@pytest.fixture(scope="module")
def built(tmp_path_factory, sounds, model):
    """A test of two pairs, whose third is left out; its key; its lines of progress."""
    root = tmp_path_factory.mktemp("panel")
    workspace = Workspace(str(root / "store"), str(root / "scratch"), 2)
    panel, lines = build(sounds, root / "out", workspace, model)
    return panel, read_key(str(panel.key)), lines


def heard(panel: Panel, name: str) -> np.ndarray:
    return sf.read(panel.page.parent / "sounds" / f"{name}.flac", dtype="float32")[0]


def trials(panel: Panel, key: Key) -> list[tuple[Trial, dict[str, str]]]:
    """Return what the page knows of each pair, with the key's condition of each sound."""
    text = panel.page.read_text("utf-8")
    found = []
    for pair in key.pairs:
        own = re.search(
            rf'"pair":"{pair.pair}","music":"(\w+)","ambience":"(\w+)","sounds":\[(.*?)\]', text
        )
        assert own is not None
        names = tuple(own[3].replace('"', "").split(","))
        found.append((Trial(pair.pair, own[1], own[2], names), pair.sounds))
    return found


def test_each_pair_has_every_condition_and_two_open_references(built):
    panel, key, _ = built
    assert {pair.id for pair in key.pairs} == {"first", "second"}
    expected = {
        "music", "ambience", "low_pass", "mix", "eq_mix", "vocoder", "ours_0.5", "ours_1"
    }  # fmt: skip
    for trial, sounds in trials(panel, key):
        assert set(sounds.values()) == set(key.conditions) == expected
        assert set(trial.sounds) == set(sounds)
        for name, condition in ((trial.music, "music"), (trial.ambience, "ambience")):
            hidden = next(each for each, found in sounds.items() if found == condition)
            assert name != hidden
            difference = heard(panel, name) - heard(panel, hidden)
            assert 0 < np.abs(difference).max() < 1e-3, "the dither alone"


def test_a_section_begins_where_its_row_says(built, sounds):
    panel, key, _ = built
    tune = sf.read(sounds / "tune.wav", dtype="float32")[0]
    for pair in key.pairs:
        name = next(each for each, condition in pair.sounds.items() if condition == "music")
        start = 22_050 if pair.id == "second" else 0
        y = heard(panel, name)
        assert len(y) == len(tune) - start
        assert np.corrcoef(y, tune[start:])[0, 1] > 0.99


def test_all_sounds_are_equally_loud_and_none_is_limited(built):
    panel, key, _ = built
    files = list((panel.page.parent / "sounds").iterdir())
    assert len(files) == 2 * 10
    levels = [loudness_lufs(sf.read(path, dtype="float32")[0], 22_050) for path in files]
    assert max(levels) - min(levels) < 0.5
    assert np.mean(levels) == pytest.approx(key.loudness_lufs, abs=0.3)


def test_the_strengths_differ_and_the_stronger_is_further_from_the_music(built):
    panel, key, _ = built
    for pair in key.pairs:
        named = {condition: heard(panel, name) for name, condition in pair.sounds.items()}
        music = named["music"]
        likeness = [np.corrcoef(music, named[f"ours_{each}"])[0, 1] for each in ("0.5", "1")]
        assert likeness[0] > likeness[1] + 0.05
        assert np.corrcoef(music, named["mix"])[0, 1] == pytest.approx(0.71, abs=0.1)


def test_nothing_in_the_folder_tells_which_sound_is_which(built):
    panel, key, _ = built
    folder = panel.page.parent
    assert {path.name for path in folder.iterdir()} == {"index.html", "sounds"}
    page = panel.page.read_text("utf-8").lower()
    data = page[page.index('id="data"') : page.index("</script>", page.index('id="data"'))]
    for pair in key.pairs:
        assert pair.id not in data
    for word in ("vocoder", "low_pass", "eq_mix", "ours", "strength", "anchor", "equalised"):
        assert not re.search(rf"\b{word}\b", page.replace("yours", "")), word
    assert "rain" not in data
    names = [path.stem for path in (folder / "sounds").iterdir()]
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
    assert len({path.read_bytes() for path in (folder / "sounds").iterdir()}) == len(names)
    for path in (folder / "sounds").iterdir():
        assert sf.info(path).extra_info.count("TITLE") == 0


def test_names_do_not_follow_the_order_of_the_conditions(built):
    panel, key, _ = built
    orders = {tuple(sounds[name] for name in trial.sounds) for trial, sounds in trials(panel, key)}
    assert all(list(order) != list(key.conditions) for order in orders)


def test_a_hostile_file_name_is_in_the_key_alone(built):
    panel, key, _ = built
    assert any(HOSTILE in pair.ambience for pair in key.pairs)
    assert "alert(" not in panel.page.read_text("utf-8")


def test_a_pair_that_fails_is_left_out_and_told(built):
    panel, _, lines = built
    assert list(panel.left_out) == ["third"]
    assert panel.left_out["third"].code == "not_found"
    assert any("third: left out" in line and "gone.wav" in line for line in lines)
    assert panel.n_pairs == 2


def test_an_existing_test_is_never_replaced(built, sounds, workspace, model):
    panel, _, _ = built
    before = panel.key.read_bytes()
    with pytest.raises(ConfigError, match="another folder") as caught:
        build(sounds, panel.key.parent, workspace, model)
    assert caught.value.code == "panel_exists"
    assert panel.key.read_bytes() == before


def test_a_test_without_any_pair_leaves_nothing(tmp_path, workspace, model):
    silent = tmp_path / "in"
    silent.mkdir()
    write_audio(silent / "a.wav", np.zeros(22_050, np.float32), 22_050, format="wav")
    (silent / "m.csv").write_text("ambience,music\na.wav,a.wav\n", "utf-8")
    sources = sources_of_rows(read_manifest(silent / "m.csv").rows, "real")
    output = tmp_path / "out"
    for given in ([], sources):
        with pytest.raises(PanelError) as caught:
            build_panel(
                given, str(output), workspace, PanelOptions(model=model.path), tell=lambda _: None
            )
        assert caught.value.code == "no_pairs"
        assert not output.exists() or list(output.iterdir()) == []


def test_too_many_pairs_and_a_bucket_are_refused(tmp_path, workspace):
    sources = ready_made_sources("real") * 4
    with pytest.raises(PanelError, match="48 pairs") as caught:
        build_panel(sources, str(tmp_path), workspace, PanelOptions(), tell=lambda _: None)
    assert caught.value.code == "too_many_pairs"
    with pytest.raises(ConfigError, match="local folder"):
        build_panel(sources, "s3://bucket/x", workspace, PanelOptions(), tell=lambda _: None)


@pytest.mark.parametrize("strengths", [(), (0.0, 1.0), (0.5, 0.5), (1.5,), (0.1, 0.2, 0.3, 0.4, 1)])
def test_strengths_outside_the_rules_are_refused(strengths):
    with pytest.raises(ConfigError, match="strength"):
        PanelOptions(strengths=strengths)


def test_a_licence_that_attacks_is_only_text():
    page = render_page(
        [Trial("a" * 16, "b" * 16, "c" * 16, ("d" * 16,))],
        panel="e" * 16,
        licence="</p><script>alert(1)</script>",
    ).decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
