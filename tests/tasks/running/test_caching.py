import dataclasses
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nst_core.config import PRESETS
from nst_core.errors import SignalError
from tasks.blend import blend_ambiences
from tasks.finish import finish_pair
from tasks.jobs.keys import parameters
from tasks.jobs.pair import PairJob
from tasks.mels import compute_mels, compute_segment_mels
from tasks.running.caching import ArtefactPolicy, artefact, produce
from tasks.running.workspace import Workspace
from tasks.segment import segment_tracks
from tasks.storage.errors import StorageError
from tasks.train import train_cnn
from tasks.transfer import transfer_pair

Render = Callable[[PairJob, Workspace], object]
Made = Callable[[], list[str]]


@dataclasses.dataclass(frozen=True)
class Note:
    """The smallest job: a text to write."""

    text: str
    stage = "notes"

    @property
    def key(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def _write(text: str) -> Callable[[Path], dict[str, str]]:
    def make(path: Path) -> dict[str, str]:
        path.write_text(text)
        return {"said": text}

    return make


def _refuse(path: Path) -> dict[str, str]:
    raise AssertionError(f"{path} was made again")


def _all_files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_result_is_made_once_and_then_found(workspace: Workspace) -> None:
    first = produce(Note("hello"), workspace, "txt", _write("hello"))
    assert first.meta["said"] == "hello"
    assert first.meta["seconds"] >= 0
    assert produce(Note("hello"), workspace, "txt", _refuse) == first
    assert produce(Note("other"), workspace, "txt", _write("other")).sha256 != first.sha256


def test_a_failure_leaves_neither_result_nor_scratch(workspace: Workspace) -> None:
    def fail(path: Path) -> dict[str, str]:
        path.write_text("half")
        raise SignalError("no")

    with pytest.raises(SignalError):
        produce(Note("x"), workspace, "txt", fail)
    assert _all_files(Path(workspace.scratch).parent) == {}
    assert list(Path(workspace.scratch).iterdir()) == []


def test_what_a_killed_process_has_left_in_scratch_is_gone_after_a_week(
    workspace: Workspace,
) -> None:
    root = workspace.scratch_root()
    old, new, own = (
        root / name for name in ("amnst-scratch-old", "amnst-scratch-new", "amnst-out")
    )
    for folder, age_s in ((old, 8 * 86_400), (new, 6 * 86_400), (own, 99 * 86_400)):
        folder.mkdir()
        (folder / "artefact.npz").write_bytes(b"half")
        at = time.time() - age_s
        os.utime(folder, (at, at))
    with workspace.scratch_folder():
        assert not old.exists()
        assert (new / "artefact.npz").is_file()
        assert (own / "artefact.npz").is_file()


def test_scratch_is_searched_for_such_folders_once_in_a_process(workspace: Workspace) -> None:
    with workspace.scratch_folder():
        pass
    later = workspace.scratch_root() / "amnst-scratch-later"
    later.mkdir()
    os.utime(later, (0, 0))
    with workspace.scratch_folder():
        assert later.is_dir()


def test_scratch_is_closed_to_other_users(workspace: Workspace) -> None:
    with workspace.scratch_folder() as folder:
        assert Path(workspace.scratch).stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0


def test_an_artefact_that_is_gone_is_a_clear_error(workspace: Workspace) -> None:
    with pytest.raises(StorageError, match=r"notes artefact .* run the flow again") as caught:
        with artefact(Note("gone"), workspace):
            pytest.fail("there was nothing to open")
    assert caught.value.code == "not_found"


def test_prefect_is_given_a_key_only_while_the_artefact_is_there(workspace: Workspace) -> None:
    job, policy = Note("hello"), ArtefactPolicy()
    inputs = {"job": job, "workspace": workspace}
    assert policy.compute_key(None, inputs, {}) is None
    record = produce(job, workspace, "txt", _write("hello"))
    assert policy.compute_key(None, inputs, {}) == job.key
    Path(workspace.store_uri, record.blob).unlink()
    assert policy.compute_key(None, inputs, {}) is None


def test_every_cached_stage_asks_that_policy() -> None:
    stages = (
        *(compute_mels, blend_ambiences, transfer_pair),
        *(segment_tracks, compute_segment_mels, train_cnn),
    )
    assert {type(stage.cache_policy) for stage in stages} == {ArtefactPolicy}
    assert not isinstance(finish_pair.cache_policy, ArtefactPolicy)


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_are_all_that_a_configuration_holds(name: str) -> None:
    assert parameters(PRESETS[name]) == dataclasses.asdict(PRESETS[name])


def test_a_second_run_touches_nothing(
    rendered: Workspace, pair: PairJob, render: Render, made: Made, tmp_path: Path
) -> None:
    before = _all_files(tmp_path)
    render(pair, rendered)
    assert made() == []
    assert _all_files(tmp_path) == before


def test_a_second_run_needs_neither_inputs_nor_model(
    rendered: Workspace, pair: PairJob, render: Render, made: Made
) -> None:
    again = dataclasses.replace(
        pair,
        music=dataclasses.replace(pair.music, uri="/gone/tune.wav"),
        ambience=dataclasses.replace(pair.ambience, uri="/gone/rain.wav"),
        model_path="/gone/model",
    )
    assert Path(render(again, rendered).uri).is_file()
    assert made() == []


@pytest.mark.parametrize("stage", ["mels", "transfer", "audio"])
def test_only_a_deleted_artefact_is_made_again(
    rendered: Workspace, pair: PairJob, render: Render, made: Made, stage: str
) -> None:
    job = {"mels": pair.music, "transfer": pair.transfer, "audio": pair.audio}[stage]
    before = rendered.store.find(job.stage, job.key)
    Path(rendered.store_uri, before.blob).unlink()
    render(pair, rendered)
    assert made() == [stage]
    assert rendered.store.find(job.stage, job.key).sha256 == before.sha256


def test_two_empty_stores_end_with_the_same_bytes(
    rendered: Workspace, pair: PairJob, render: Render, made: Made, tmp_path: Path
) -> None:
    fresh = Workspace(str(tmp_path / "other"), str(tmp_path / "elsewhere"), 2)
    render(dataclasses.replace(pair, output_uri=str(tmp_path / "again.wav")), fresh)
    assert made() == ["origin", "mels", "mels", "transfer", "picture", "audio"]
    objects = [
        {name for name in _all_files(Path(place.store_uri)) if name.startswith("objects/")}
        for place in (rendered, fresh)
    ]
    assert objects[0] == objects[1], "a blob is named by its bytes"
    assert len(objects[0]) == 6


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder")
@pytest.mark.parametrize("scratch", ["/proc/none", "/sys/kernel", "/dev/null"])
def test_a_scratch_folder_that_cannot_be_used_names_the_setting(tmp_path, scratch):
    workspace = Workspace(str(tmp_path / "store"), scratch)
    with (
        pytest.raises(StorageError, match=f"^{scratch}: .*AMNST_SCRATCH"),
        workspace.scratch_folder(),
    ):
        pass


def test_a_scratch_folder_of_another_user_is_refused(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    os.chown(folder, 12345, -1)
    with pytest.raises(StorageError, match="another user"):
        Workspace(str(tmp_path / "store"), str(folder)).scratch_root()
