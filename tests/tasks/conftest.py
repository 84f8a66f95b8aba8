"""A real S3 server, sounds, a small classifier, and a pair that has been rendered once."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nst_core.audio.writing import write_audio
from nst_core.config import DEFAULT_STRENGTH, OutputConfig, TransferConfig
from nst_core.synth.sounds import ambience, music_piece
from tasks.invert import invert_pair
from tasks.jobs.pair import AnalysisJob, PairJob
from tasks.mels import compute_mels
from tasks.model import Model, fetch_model
from tasks.running.workspace import Workspace
from tasks.storage import s3
from tasks.storage.files import sha256_file
from tasks.transfer import transfer_pair
from tasks.upload import Published, upload_pair
from tests.servers import KEY, SECRET, new_bucket
from tests.small_classifier import save_small_classifier

RCLONE = shutil.which(
    "rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
)


@pytest.fixture
def bucket(s3_server: None) -> str:
    return new_bucket()


@pytest.fixture
def weak_bucket(s3_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server that ignores If-None-Match."""
    if RCLONE is None:
        pytest.skip("rclone is not installed: no weak S3 server to test against")
    with socket.socket() as chooser:
        chooser.bind(("127.0.0.1", 0))
        port = chooser.getsockname()[1]
    (tmp_path / "data" / "weak").mkdir(parents=True)
    command = [
        *(RCLONE, "serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{KEY},{SECRET}", str(tmp_path / "data")),
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    s3._client.cache_clear()
    try:
        _wait_for(port, process)
        yield "s3://weak"
    finally:
        process.kill()
        process.wait(15)
        s3._client.cache_clear()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and process.poll() is None:
        with socket.socket() as probe_socket:
            if probe_socket.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("rclone does not start")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.server)])
def root_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both kinds of store: every claim holds for each."""
    return request.getfixturevalue("bucket") if request.param == "s3" else str(tmp_path / "store")


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tune and two ambiences."""
    folder = tmp_path_factory.mktemp("sounds")
    write_audio(folder / "tune.wav", music_piece("folk", 3.0, seed=1), 22_050, format="wav")
    for kind in ("rain", "wind"):
        write_audio(folder / f"{kind}.wav", ambience(kind, 2.0, seed=1), 22_050, format="wav")
    return folder


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Model]:
    """Function that makes small classifiers with random weights."""

    def make(seed: int) -> Model:
        folder = tmp_path_factory.mktemp("model")
        save_small_classifier(folder, seed=seed, standardised=False)
        return fetch_model(str(folder), Workspace(str(folder / "store"), str(folder / "scratch")))

    return make


@pytest.fixture(scope="session")
def model(make_model: Callable[[int], Model]) -> Model:
    return make_model(3)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "store"), str(tmp_path / "scratch"), 2)


def _pair(sounds: Path, model: Model, output: str) -> PairJob:
    tune, rain = sounds / "tune.wav", sounds / "rain.wav"
    return PairJob(
        row_id="rain-tune",
        music=AnalysisJob(uri=str(tune), sha256=sha256_file(tune), name="music"),
        ambience=AnalysisJob(uri=str(rain), sha256=sha256_file(rain), name="ambience"),
        model_path=model.path,
        model_sha256=model.sha256,
        config=TransferConfig(n_iterations=2),
        strength=DEFAULT_STRENGTH,
        output=OutputConfig(),
        output_uri=output,
    )


@pytest.fixture
def pair(sounds: Path, model: Model, tmp_path: Path) -> PairJob:
    """Rain on the tune, in two steps of the optimiser."""
    return _pair(sounds, model, str(tmp_path / "output" / "rain-tune.wav"))


def _render(job: PairJob, workspace: Workspace) -> Published:
    compute_mels.fn(job.music, workspace)
    compute_mels.fn(job.ambience, workspace)
    transfer_pair.fn(job, workspace)
    invert_pair(job, workspace)
    return upload_pair(job, workspace)


@pytest.fixture(scope="session")
def render() -> Callable[[PairJob, Workspace], Published]:
    """Run all stages of a pair, one after the other."""
    return _render


@pytest.fixture(scope="session")
def _rendered_once(sounds: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    workspace = Workspace(str(folder / "store"), str(folder / "scratch"), 2)
    _render(_pair(sounds, model, str(folder / "output" / "rain-tune.wav")), workspace)
    return folder


@pytest.fixture
def rendered(_rendered_once: Path, workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace whose store and output contain `pair`; tests may change it."""
    for name in ("store", "output"):
        shutil.copytree(_rendered_once / name, tmp_path / name)
    return workspace


@pytest.fixture
def made(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Stages of the artefacts made since the last call, in order."""
    caplog.set_level("DEBUG", "tasks.running.caching")

    def stages() -> list[str]:
        records = [r for r in caplog.records if r.name == "tasks.running.caching"]
        caplog.clear()
        return [record.args[0] for record in records if "made in" in record.msg]

    return stages
