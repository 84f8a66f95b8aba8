import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nst_core.config import TransferConfig
from nst_core.errors import ConfigError, ModelError
from nst_core.transfer.stylisation import load_stylisation
from tasks.jobs.pair import PairJob
from tasks.model import Model
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.transfer import transfer_pair

Render = Callable[[PairJob, Workspace], object]
Made = Callable[[], list[str]]


def _with(pair: PairJob, **changes: object) -> PairJob:
    return dataclasses.replace(pair, **changes)


def test_a_transfer_has_a_gain_for_every_band_and_frame_and_its_losses(
    rendered: Workspace, pair: PairJob
) -> None:
    record = rendered.store.find(*pair.transfer)
    with artefact(pair.transfer, rendered) as path:
        stylisation = load_stylisation(path)
    assert stylisation.gain_db.shape == (1 + 3 * 22_050 // 256, 384)
    assert np.ptp(stylisation.gain_db) > 0, "two steps moved something"
    best = record.meta["best_iteration"]
    assert len(stylisation.style_loss) == 1 + pair.config.n_iterations
    assert record.meta["style_loss"] == float(stylisation.style_loss[best])
    assert record.meta["content_loss"] == float(stylisation.content_loss[best])


def test_another_strength_alone_is_the_same_transfer(
    rendered: Workspace, pair: PairJob, render: Render, made: Made
) -> None:
    render(_with(pair, strength=0.3), rendered)
    assert made() == ["picture", "audio"]


def test_another_model_transfers_again(
    rendered: Workspace,
    pair: PairJob,
    render: Render,
    made: Made,
    make_model: Callable[[int], Model],
) -> None:
    other = make_model(4)
    before = rendered.store.find("transfer", pair.transfer.key)
    changed = _with(pair, model_path=other.path, model_sha256=other.sha256)
    render(changed, rendered)
    assert made() == ["transfer", "picture", "audio"]
    after = rendered.store.find("transfer", changed.transfer.key)
    assert after.sha256 != before.sha256, "the network affects the result"


def test_a_copy_of_the_model_elsewhere_is_the_same_transfer(pair: PairJob) -> None:
    moved = _with(pair, model_path="/elsewhere/small.weights.h5")
    assert moved.transfer.key == pair.transfer.key


def test_a_key_follows_every_parameter(pair: PairJob) -> None:
    values = {
        "start": "music",
        "content_weight": 2.0,
        "style_weight": 2.0,
        "n_iterations": 3,
        "learning_rate": 0.2,
        "seed": 1,
        "style_layers": ("input",),
        "window_s": 90.0,
    }
    changed = [
        _with(pair, config=dataclasses.replace(pair.config, **{name: value}))
        for name, value in values.items()
    ]
    swapped = _with(pair, music=pair.ambience, ambience=pair.music)
    keys = {pair.transfer.key, swapped.transfer.key, *(other.transfer.key for other in changed)}
    assert len(keys) == 2 + len(values)


def test_no_key_and_no_record_names_a_row_or_a_place(
    rendered: Workspace, pair: PairJob, sounds: Path, tmp_path: Path
) -> None:
    records = list(Path(rendered.store_uri, "results").rglob("*.json"))
    assert len(records) == 6
    for record in records:
        text = record.read_text()
        assert json.loads(text)["key"] == record.stem
        for secret in (pair.row_id, str(tmp_path.parent.parent), "tune", rendered.scratch):
            assert secret not in text


def test_a_transfer_without_its_analyses_says_so(workspace: Workspace, pair: PairJob) -> None:
    with pytest.raises(StorageError, match="mels artefact"):
        transfer_pair.fn(pair, workspace)


def _without_transfer(workspace: Workspace, job: PairJob) -> Workspace:
    workspace.store.delete(*job.transfer)
    return workspace


def test_a_model_that_changed_during_the_run_is_refused(
    rendered: Workspace, pair: PairJob, make_model: Callable[[int], Model]
) -> None:
    exchanged = _with(pair, model_path=make_model(5).path)
    with pytest.raises(ModelError, match="changed while the flow was running") as caught:
        transfer_pair.fn(exchanged, _without_transfer(rendered, exchanged))
    assert caught.value.code == "model_checksum"
    assert not rendered.store.exists(*exchanged.transfer)


def test_a_layer_the_model_lacks_is_refused(rendered: Workspace, pair: PairJob) -> None:
    config = TransferConfig(n_iterations=2, style_layers=("conv7",))
    job = _with(pair, config=config)
    with pytest.raises(ConfigError, match="conv7"):
        transfer_pair.fn(job, rendered)
