import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nst_core.config import PRESETS, OutputConfig
from nst_core.errors import AudioError, ConfigError
from tasks.finished import find_finished, forget
from tasks.jobs.from_rows import (
    RenderDefaults,
    inputs_of,
    output_config,
    outputs_on_inputs,
    plan_job,
    transfer_config,
)
from tasks.jobs.pair import PairJob
from tasks.manifest.row import ManifestRow
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError

DEFAULTS = RenderDefaults(
    preset="real",
    strength=0.2,
    output=OutputConfig(),
    model_path="/models/small.weights.h5",
    model_sha256="m" * 64,
    output_uri="/out",
)
IDENTITIES = {"/in/rain.wav": "a" * 64, "/in/tune.wav": "b" * 64}


def _row(**cells: object) -> ManifestRow:
    values = {"line": 2, "id": "rain-tune", "output": "rain-tune.wav"}
    places = {"ambience": "/in/rain.wav", "music": "/in/tune.wav"}
    return ManifestRow(**(values | places | cells))


def _job(row: ManifestRow, identities: Mapping[str, object] = IDENTITIES) -> PairJob:
    job = plan_job(row, identities, DEFAULTS)
    assert isinstance(job, PairJob), job
    return job


def test_a_row_becomes_a_job_with_all_its_values() -> None:
    job = _job(_row(output="sub/a.wav", strength="0.4", start_s="1.5", duration_s="2"))
    assert (job.row_id, job.output_uri) == ("rain-tune", "/out/sub/a.wav")
    assert (job.music.uri, job.music.sha256) == ("/in/tune.wav", "b" * 64)
    assert (job.ambience.uri, job.ambience.sha256) == ("/in/rain.wav", "a" * 64)
    assert (job.music.start_s, job.music.duration_s) == (1.5, 2.0)
    assert (job.ambience.start_s, job.ambience.duration_s) == (0.0, None)
    assert (job.model_path, job.model_sha256) == (DEFAULTS.model_path, "m" * 64)
    assert job.strength == 0.4
    assert _job(_row()).strength == 0.2, "the catalogue's"


def test_the_row_overrides_the_catalogue_which_overrides_the_preset() -> None:
    assert transfer_config(_row(), DEFAULTS) == PRESETS["real"]
    catalogue = dataclasses.replace(DEFAULTS, preset="mel")
    assert transfer_config(_row(), catalogue) == PRESETS["mel"]
    own = transfer_config(_row(preset="real", iterations="5", seed="7"), catalogue)
    assert own == dataclasses.replace(PRESETS["real"], n_iterations=5, seed=7)


def test_the_format_is_that_of_the_name_and_the_rest_of_the_row_then_the_catalogue() -> None:
    catalogue = dataclasses.replace(DEFAULTS, output=OutputConfig(sample_rate=44_100))
    assert output_config(_row(output="a.flac"), catalogue) == OutputConfig(
        format="flac", sample_rate=44_100
    )
    own = output_config(_row(sample_rate="48000", loudness_lufs="-16"), catalogue)
    assert own == OutputConfig(sample_rate=48_000, loudness_lufs=-16.0)


def test_an_unreadable_input_is_the_reason_of_its_row() -> None:
    error = AudioError("not_found", "/in/tune.wav", "does not exist")
    assert plan_job(_row(), IDENTITIES | {"/in/tune.wav": error}, DEFAULTS) is error
    assert plan_job(_row(), IDENTITIES | {"/in/rain.wav": error}, DEFAULTS) is error
    assert isinstance(_job(_row(music="/in/rain.wav"), IDENTITIES), PairJob)


def test_values_that_only_clash_together_are_the_reason_of_their_row() -> None:
    catalogue = dataclasses.replace(DEFAULTS, output=OutputConfig(subtype="PCM_24"))
    reason = plan_job(_row(output="a.ogg"), IDENTITIES, catalogue)
    assert isinstance(reason, ConfigError)
    assert "PCM_24" in str(reason)


def test_an_output_cannot_lead_out_of_its_folder() -> None:
    row = _row()
    object.__setattr__(row, "output", "../a.wav")  # no manifest may do so
    with pytest.raises(StorageError, match="leads out"):
        plan_job(row, IDENTITIES, DEFAULTS)


def test_an_output_never_takes_the_place_of_an_input() -> None:
    row, other = _row(output="tune.wav"), _row(output="new.wav")
    inputs = inputs_of([_row()])
    assert {*outputs_on_inputs([row], inputs, "/in/sub/..")} == {row.line}
    assert outputs_on_inputs([row], inputs, "/in/sub/..")[row.line].code == "output_is_input"
    assert outputs_on_inputs([other], inputs, "/in/sub/..") == {}
    assert outputs_on_inputs([row], inputs, "/elsewhere") == {}


def test_a_link_to_an_input_or_to_its_folder_is_seen_through(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "tune.wav").touch()
    (tmp_path / "same").symlink_to(inputs)
    outputs = tmp_path / "out"
    outputs.mkdir()
    (outputs / "linked.wav").symlink_to(inputs / "tune.wav")
    taken = [str(inputs / "tune.wav")]
    for output, folder in (("tune.wav", "same"), ("linked.wav", "out")):
        row = _row(output=output)
        assert {*outputs_on_inputs([row], taken, str(tmp_path / folder))} == {row.line}
    assert outputs_on_inputs([_row(output="tune.wav")], taken, str(outputs)) == {}


def test_rows_share_work_by_content_and_a_result_names_its_files() -> None:
    other = _row(id="other", output="other.wav", line=3, ambience="/b/rain.wav", music="/b/t.wav")
    moved = {"/b/rain.wav": "a" * 64, "/b/t.wav": "b" * 64}
    one, two = _job(_row()), _job(other, moved)
    assert (one.music.key, one.transfer.key) == (two.music.key, two.transfer.key)
    assert two.comment == "AM-NST: rain.wav plays t.wav, strength 0.2"
    assert one.audio.key != two.audio.key, "the file contains the comment"
    again = _row(id="third", output="third.wav", line=4, ambience="/c/rain.wav", music="/c/t.wav")
    copied = {"/c/rain.wav": "a" * 64, "/c/t.wav": "b" * 64}
    assert _job(again, copied).audio.key == two.audio.key, "only the last part of a path counts"


def test_a_pair_is_finished_until_something_of_it_is_missing(
    rendered: Workspace, pair: PairJob
) -> None:
    assert find_finished(pair, rendered)
    elsewhere = dataclasses.replace(pair, output_uri=f"{pair.output_uri}.elsewhere.wav")
    assert not find_finished(elsewhere, rendered)
    quieter = dataclasses.replace(pair, output=OutputConfig(loudness_lufs=-30.0))
    assert not find_finished(quieter, rendered)
    rendered.store.delete("transfer", pair.transfer.key)
    assert not find_finished(pair, rendered)


def test_a_pair_whose_audio_or_output_is_gone_is_not_finished(
    rendered: Workspace, pair: PairJob
) -> None:
    Path(pair.provenance_uri).write_text("{")
    assert not find_finished(pair, rendered)
    rendered.store.delete("audio", pair.audio.key)
    assert not find_finished(pair, rendered)


def test_a_forgotten_pair_is_made_again_from_the_analyses_that_stay(
    rendered: Workspace,
    pair: PairJob,
    render: Callable[[PairJob, Workspace], object],
    made: Callable[[], list[str]],
) -> None:
    before = rendered.store.find("audio", pair.audio.key).sha256
    forget([pair], rendered)
    assert not find_finished(pair, rendered)
    render(pair, rendered)
    assert made() == ["transfer", "audio"]
    assert rendered.store.find("audio", pair.audio.key).sha256 == before


BLENDED = "/in/rain.wav*3 + /in/wind.wav"
OF_BLEND = IDENTITIES | {"/in/wind.wav": "c" * 64}


def test_several_ambiences_become_one_blend_with_their_shares() -> None:
    job = _job(_row(ambience=BLENDED), OF_BLEND).ambience
    assert [part.sha256 for part in job.parts] == ["a" * 64, "c" * 64]
    assert job.shares == (0.75, 0.25)
    error = AudioError("not_found", "/in/wind.wav", "does not exist")
    assert plan_job(_row(ambience=BLENDED), OF_BLEND | {"/in/wind.wav": error}, DEFAULTS) is error


def test_keys_depend_only_on_the_proportions_of_the_weights() -> None:
    def key(ambience: str) -> str:
        return _job(_row(ambience=ambience), OF_BLEND).transfer.key

    assert key("/in/rain.wav*6 + /in/wind.wav*2") == key(BLENDED)
    others = ["/in/rain.wav + /in/wind.wav", "/in/wind.wav*3 + /in/rain.wav", "/in/rain.wav"]
    assert len({key(ambience) for ambience in [BLENDED, *others]}) == 4
    assert key("/in/rain.wav*3") == key("/in/rain.wav")


def test_inputs_are_listed_once_in_the_order_of_first_use() -> None:
    rows = [_row(), _row(music="/in/b.wav"), _row(ambience="/in/tune.wav", music="/in/b.wav")]
    assert inputs_of(rows) == ["/in/tune.wav", "/in/rain.wav", "/in/b.wav"]
    assert inputs_of([_row(ambience=BLENDED)]) == ["/in/tune.wav", "/in/rain.wav", "/in/wind.wav"]
