import json
import shutil
from pathlib import Path

import pytest

from nst_core.errors import ModelError
from tasks.model import Model, fetch_model
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import publish, sha256_file
from tasks.storage.uris import join


def _copied(model: Model, tmp_path: Path) -> Path:
    shutil.copytree(Path(model.path).parent, tmp_path / "model")
    return tmp_path / "model" / Path(model.path).name


def test_a_model_is_found_by_file_folder_or_file_uri(
    model: Model, workspace: Workspace, tmp_path: Path
) -> None:
    weights = _copied(model, tmp_path)
    expected = Model(str(weights), sha256_file(weights))
    for uri in (str(weights), str(weights.parent), weights.as_uri()):
        assert fetch_model(uri, workspace) == expected


def test_weights_that_are_not_those_of_the_card_are_refused(
    model: Model, workspace: Workspace, tmp_path: Path
) -> None:
    weights = _copied(model, tmp_path)
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match=r"small\.weights\.h5") as caught:
        fetch_model(str(weights), workspace)
    assert caught.value.code == "model_checksum"


def test_a_missing_model_is_refused_by_name(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gone") as caught:
        fetch_model(str(tmp_path / "gone.weights.h5"), workspace)
    assert caught.value.code == "model_not_found"


def test_a_remote_model_is_fetched_with_its_card_every_time(
    model: Model, workspace: Workspace, bucket: str, tmp_path: Path
) -> None:
    weights = _copied(model, tmp_path)
    card = weights.with_name("small.json")
    uri = join(bucket, "models", weights.name)
    for path in (weights, card):
        publish(path, join(bucket, "models", path.name))
    fetched = fetch_model(uri, workspace)
    assert fetched.sha256 == sha256_file(fetched.path) == model.sha256
    assert Path(fetched.path).is_relative_to(workspace.scratch)

    weights.write_bytes(b"other weights")
    card.write_text(json.dumps({"sha256": sha256_file(weights)}))
    for path in (weights, card):
        publish(path, join(bucket, "models", path.name))
    assert fetch_model(uri, workspace) == Model(fetched.path, sha256_file(weights))


def test_a_remote_model_must_be_named_and_be_there(workspace: Workspace, bucket: str) -> None:
    with pytest.raises(ModelError, match="name the file") as caught:
        fetch_model(join(bucket, "models"), workspace)
    assert caught.value.code == "model_not_found"
    with pytest.raises(StorageError, match=r"gone\.weights\.h5: cannot read") as caught:
        fetch_model(join(bucket, "gone.weights.h5"), workspace)
    assert caught.value.code == "not_found"
