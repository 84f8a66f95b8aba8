from collections.abc import Callable
from pathlib import Path

import pytest

from nst_core.errors import NSTError
from tasks.finish import failed_stage, finish_pair
from tasks.jobs.pair import PairJob
from tasks.running.workspace import Workspace

Made = Callable[[], list[str]]


def test_a_transferred_pair_becomes_a_sound_in_its_place(
    rendered: Workspace, pair: PairJob, made: Made
) -> None:
    before = Path(pair.output_uri).read_bytes()
    Path(pair.output_uri).unlink()
    rendered.store.delete("audio", pair.audio.key)
    published = finish_pair.fn(pair, rendered)
    assert Path(published.uri).read_bytes() == before
    assert made() == ["audio"]


def test_a_second_attempt_at_an_upload_inverts_nothing(
    rendered: Workspace, pair: PairJob, made: Made
) -> None:
    Path(pair.output_uri).unlink()
    finish_pair.fn(pair, rendered)
    assert Path(pair.output_uri).is_file()
    assert made() == []


def test_a_failed_inversion_and_a_failed_upload_are_distinguished(
    rendered: Workspace, pair: PairJob
) -> None:
    output = Path(pair.output_uri)
    output.unlink()
    output.mkdir()
    with pytest.raises(NSTError) as upload:
        finish_pair.fn(pair, rendered)
    for stage, key in (("audio", pair.audio.key), ("transfer", pair.transfer.key)):
        rendered.store.delete(stage, key)
    with pytest.raises(NSTError) as inversion:
        finish_pair.fn(pair, rendered)
    assert failed_stage(upload.value) == "upload"
    assert failed_stage(inversion.value) == "invert"
