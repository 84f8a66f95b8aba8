import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nst_core import ALGORITHM_VERSION
from nst_core.errors import AudioError
from tasks.finished import is_published
from tasks.jobs.identities import identify_inputs
from tasks.jobs.pair import PairJob
from tasks.mels import compute_mels
from tasks.model import fetch_model
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import publish, read_bytes, sha256_file
from tasks.storage.uris import join
from tasks.upload import Published, upload_pair

Render = Callable[[PairJob, Workspace], Published]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_audio_and_provenance_are_next_to_each_other(
    rendered: Workspace, pair: PairJob, sounds: Path
) -> None:
    published = upload_pair(pair, rendered)
    audio = Path(pair.output_uri)
    assert _names(audio.parent) == ["rain-tune.wav", "rain-tune.wav.json"]
    assert published == Published(str(audio), sha256_file(audio), audio.stat().st_size)
    facts = json.loads(Path(pair.provenance_uri).read_text())
    assert facts["id"] == "rain-tune"
    assert facts["sha256"] == published.sha256
    assert facts["music"]["sha256"] == sha256_file(sounds / "tune.wav")
    assert facts["ambience"]["uri"] == str(sounds / "rain.wav")
    assert facts["model_sha256"] == pair.model_sha256
    assert (facts["transfer"]["strength"], facts["transfer"]["seed"]) == (0.7, 0)
    assert facts["keys"] == {"transfer": pair.transfer.key, "audio": pair.audio.key}
    assert facts["algorithm"] == ALGORITHM_VERSION


def test_an_output_in_place_is_not_written_again(rendered: Workspace, pair: PairJob) -> None:
    places = [Path(pair.output_uri), Path(pair.provenance_uri)]
    before = [(place.stat().st_mtime_ns, place.stat().st_ino) for place in places]
    upload_pair(pair, rendered)
    assert [(place.stat().st_mtime_ns, place.stat().st_ino) for place in places] == before


def _flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes(byte ^ 1 for byte in data[-100:]))


DAMAGE = {
    "audio deleted": ("wav", Path.unlink),
    "audio cut": ("wav", lambda path: path.write_bytes(path.read_bytes()[:-2])),
    "audio exchanged for another of its size": ("wav", _flip),
    "provenance deleted": ("wav.json", Path.unlink),
    "provenance of another result": ("wav.json", lambda path: path.write_text('{"sha256": "0"}')),
    "provenance damaged": ("wav.json", lambda path: path.write_text("{")),
    "provenance no object": ("wav.json", lambda path: path.write_text("[]")),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_wrong_output_is_replaced(
    rendered: Workspace, pair: PairJob, kind: str, made: Callable[[], list[str]]
) -> None:
    record = rendered.store.find("audio", pair.audio.key)
    audio, card = Path(pair.output_uri), Path(pair.provenance_uri)
    assert is_published(pair, record)
    suffix, harm = DAMAGE[kind]
    harm(audio.with_suffix(f".{suffix}"))
    assert not is_published(pair, record)
    upload_pair(pair, rendered)
    assert is_published(pair, record)
    assert sha256_file(audio) == record.sha256
    assert json.loads(card.read_text())["sha256"] == record.sha256
    assert made() == [], "nothing was rendered for it"


def test_another_row_of_the_same_sound_gets_its_own_provenance(
    rendered: Workspace, pair: PairJob
) -> None:
    renamed = dataclasses.replace(pair, row_id="renamed")
    upload_pair(renamed, rendered)
    assert json.loads(Path(pair.provenance_uri).read_text())["id"] == "renamed"


def test_an_output_appears_whole_or_not_at_all(rendered: Workspace, pair: PairJob) -> None:
    audio, done, sizes = Path(pair.output_uri), threading.Event(), set()

    def watch() -> None:
        while not done.is_set():
            if audio.exists():
                sizes.add(len(audio.read_bytes()))

    expected = audio.stat().st_size
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(10):
        Path(pair.provenance_uri).unlink()
        upload_pair(pair, rendered)
    done.set()
    watcher.join()
    assert sizes == {expected}
    assert _names(audio.parent) == [audio.name, f"{audio.name}.json"]


def test_an_upload_without_audio_says_so_and_publishes_nothing(
    workspace: Workspace, pair: PairJob
) -> None:
    with pytest.raises(StorageError, match="audio artefact"):
        upload_pair(pair, workspace)
    assert not Path(pair.output_uri).parent.exists()


@pytest.fixture
def on_s3(bucket: str, pair: PairJob, sounds: Path, tmp_path: Path) -> PairJob:
    """`pair` with everything in a bucket: inputs, model and output."""
    weights = Path(pair.model_path)
    for path in (sounds / "tune.wav", sounds / "rain.wav"):
        publish(path, join(bucket, "in", path.name))
    for path in weights.parent.glob("small*"):
        publish(path, join(bucket, "model", path.name))
    workspace = Workspace(join(bucket, "store"), str(tmp_path / "scratch"), 2)
    model = fetch_model(join(bucket, "model", weights.name), workspace)
    return dataclasses.replace(
        pair,
        music=dataclasses.replace(pair.music, uri=join(bucket, "in", "tune.wav")),
        ambience=dataclasses.replace(pair.ambience, uri=join(bucket, "in", "rain.wav")),
        model_path=model.path,
        model_sha256=model.sha256,
        output_uri=join(bucket, "out", "rain-tune.wav"),
    )


def test_on_s3_a_pair_has_the_same_bytes_and_the_same_keys(
    on_s3: PairJob,
    pair: PairJob,
    rendered: Workspace,
    render: Render,
    bucket: str,
    made: Callable[[], list[str]],
) -> None:
    workspace = dataclasses.replace(rendered, store_uri=join(bucket, "store"))
    inputs = [on_s3.music, on_s3.ambience]
    found = identify_inputs([job.uri for job in inputs], workspace.scratch)
    assert found == {job.uri: job.sha256 for job in inputs}
    published = render(on_s3, workspace)
    assert made() == ["origin", "mels", "mels", "transfer", "picture", "audio"]
    assert read_bytes(on_s3.output_uri) == Path(pair.output_uri).read_bytes()
    assert published == Published(on_s3.output_uri, published.sha256, published.size)
    assert on_s3.audio.key == pair.audio.key
    record = workspace.store.find("audio", on_s3.audio.key)
    assert is_published(on_s3, record)
    assert render(on_s3, workspace) == published
    assert made() == []
    leftovers = [path for path in Path(workspace.scratch).iterdir() if path.name != "models"]
    assert leftovers == [], "downloads are passing"


def test_on_s3_a_replaced_output_is_restored(
    on_s3: PairJob, rendered: Workspace, tmp_path: Path
) -> None:
    upload_pair(on_s3, rendered)
    record = rendered.store.find("audio", on_s3.audio.key)
    (tmp_path / "forged").write_bytes(bytes(record.size))
    # A bucket tells the time in whole seconds.
    threading.Event().wait(1.1)
    publish(tmp_path / "forged", on_s3.output_uri)
    assert not is_published(on_s3, record)
    upload_pair(on_s3, rendered)
    assert is_published(on_s3, record)
    assert sha256_file(Path(rendered.store_uri, record.blob)) == record.sha256
    assert read_bytes(on_s3.output_uri) != bytes(record.size)


def test_a_bad_remote_file_is_named_by_its_uri(
    bucket: str, workspace: Workspace, tmp_path: Path, pair: PairJob
) -> None:
    (tmp_path / "text.wav").write_text("la la la\n" * 99)
    publish(tmp_path / "text.wav", join(bucket, "text.wav"))
    job = dataclasses.replace(
        pair.music,
        uri=join(bucket, "text.wav"),
        sha256=sha256_file(tmp_path / "text.wav"),
    )
    with pytest.raises(AudioError, match=rf"^{bucket}/text\.wav: ") as caught:
        compute_mels.fn(job, workspace)
    assert caught.value.code == "not_audio"
