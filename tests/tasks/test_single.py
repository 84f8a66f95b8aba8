"""One pair of files, rendered without a manifest."""

import dataclasses
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from nst_core.audio.reading import read_audio
from nst_core.audio.writing import write_audio
from nst_core.config import TransferConfig, preset
from nst_core.errors import AudioError
from nst_core.transfer.rendered import transfer_style
from tasks.jobs.pair import PairJob
from tasks.model import Model
from tasks.running.workspace import Workspace
from tasks.single import SinglePair, render_single
from tasks.storage.files import sha256_file


@pytest.fixture
def single(sounds: Path, model: Model, tmp_path: Path) -> SinglePair:
    """The pair that the fixture `pair` renders from a manifest."""
    return SinglePair(
        ambience=str(sounds / "rain.wav"),
        music=str(sounds / "tune.wav"),
        output=str(tmp_path / "out.wav"),
        config=TransferConfig(n_iterations=2),
        model=model.path,
    )


def test_the_file_is_the_one_that_a_manifest_makes(
    single: SinglePair, workspace: Workspace, rendered: Workspace, pair: PairJob
) -> None:
    figures, warnings = render_single(single, workspace)
    record = rendered.store.find(*pair.audio)
    assert sha256_file(single.output) == record.sha256
    assert figures["verdict"] == record.meta["verdict"]
    assert figures["content"] == record.meta["content"]
    assert warnings == []


def test_only_the_asked_section_is_rendered_and_nothing_else_is_left(
    single: SinglePair, workspace: Workspace, tmp_path: Path
) -> None:
    figures, _ = render_single(dataclasses.replace(single, start_s=1.0, duration_s=1.5), workspace)
    assert figures["duration_s"] == pytest.approx(1.5, abs=1e-4)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [Path(single.output)]


def test_a_picture_shows_ambience_music_and_result(
    single: SinglePair, workspace: Workspace, tmp_path: Path
) -> None:
    render_single(dataclasses.replace(single, picture=str(tmp_path / "p.png")), workspace)
    pixels = matplotlib.image.imread(tmp_path / "p.png")
    assert pixels.shape[:2] == (780, 1000)
    assert pixels.std() > 0.1


@pytest.mark.parametrize("broken", ["ambience", "music"])
def test_a_bad_input_is_named_and_leaves_no_output(
    single: SinglePair, workspace: Workspace, tmp_path: Path, broken: str
) -> None:
    bad = tmp_path / "bad.ogg"
    bad.write_bytes(b"OggS but not really")
    with pytest.raises(AudioError, match=r"bad\.ogg"):
        render_single(dataclasses.replace(single, **{broken: str(bad)}), workspace)
    assert not Path(single.output).exists()


def test_a_silent_ambience_is_refused_by_its_name(
    single: SinglePair, workspace: Workspace, tmp_path: Path
) -> None:
    silence = np.zeros(2 * 22_050, np.float32)
    write_audio(tmp_path / "quiet.wav", silence, 22_050, format="wav")
    with pytest.raises(AudioError, match=r"quiet\.wav"):
        render_single(dataclasses.replace(single, ambience=str(tmp_path / "quiet.wav")), workspace)


def test_one_call_in_python_saves_the_same_sound(
    single: SinglePair, workspace: Workspace, tmp_path: Path
) -> None:
    config = preset("closed")
    render_single(dataclasses.replace(single, config=config), workspace)
    transfer_style(single.music, single.ambience, config=config).save(tmp_path / "python.wav")
    ours, theirs = (read_audio(tmp_path / f"{name}.wav") for name in ("python", "out"))
    assert ours.sr == theirs.sr
    np.testing.assert_array_equal(ours.y, theirs.y)
