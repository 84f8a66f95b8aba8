"""One Prefect server, one small classifier and a folder of sounds for all flows."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    get_current_settings,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from flows.progress import Listener, listening
from flows.render_catalog import render_catalog
from flows.requests import RenderRequest
from flows.server.connection import CATALOG_DEPLOYMENT
from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import ambience, music_piece
from tasks.storage.store import Store
from tests.small_classifier import save_small_classifier

SR = 22_050
GOOD_ROWS = tuple(
    {
        "id": f"{ambience}-{music}",
        "ambience": f"{ambience}.wav",
        "music": f"{music}.wav",
        "strength": "0.5",
        "iterations": "2",
    }
    for ambience, music in (("rain", "folk"), ("fire", "folk"), ("rain", "rock"))
)


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    """A server for every test that uses this fixture; tests/conftest.py hides it from others."""
    settings = get_current_settings()
    assert settings.results.default_serializer == "json"
    with (
        # The heartbeat's thread sleeps for a second at the end of every flow.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        prefect_test_harness(server_startup_timeout=180),
    ):
        yield


@flow(name="well")
def _well() -> None:
    """End Completed."""


@pytest.fixture(scope="session")
def completed(prefect: None) -> str:
    """Id of a flow run that is Completed."""
    return str(_well(return_state=True).state_details.flow_run_id)


@pytest.fixture
def deployment(prefect: None) -> Iterator[Callable[[], None]]:
    """Function that creates the deployment of catalogues, without a worker, for one test."""
    made: list[UUID] = []
    flow_name, name = CATALOG_DEPLOYMENT.split("/")
    with get_client(sync_client=True) as client:
        yield lambda: made.append(
            client.create_deployment(client.create_flow_from_name(flow_name), name)
        )
        for each in made:
            client.delete_deployment(each)


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Function that makes folders of small classifiers, which know only band statistics."""
    made: dict[int, Path] = {}

    def make(seed: int) -> Path:
        if seed not in made:
            folder = tmp_path_factory.mktemp("model")
            made[seed] = save_small_classifier(folder, seed=seed, standardised=True)
        return made[seed]

    return make


@pytest.fixture(scope="session")
def model(make_model: Callable[[int], Path]) -> Path:
    return make_model(3)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds that can be rendered, and `short.wav` and `text.wav` that cannot."""
    folder = tmp_path_factory.mktemp("inputs")
    for kind in ("rain", "fire"):
        write_audio(folder / f"{kind}.wav", ambience(kind, 2.0, seed=1), SR, format="wav")
    for genre in ("folk", "rock"):
        write_audio(folder / f"{genre}.wav", music_piece(genre, 3.0, seed=1), SR, format="wav")
    write_audio(folder / "short.wav", ambience("rain", 0.1, seed=1), SR, format="wav")
    (folder / "text.wav").write_text("this is no sound\n" * 100, "utf-8")
    return folder


@contextmanager
def _environment(root: Path) -> Iterator[list[str]]:
    """Let flows work below `root`; yield a list to which the stages of their results are added."""
    made: list[str] = []
    logger = logging.getLogger("tasks.running.caching")
    handler, level = logging.Handler(logging.DEBUG), logger.level
    handler.emit = lambda record: made.append(record.args[0])
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMNST_STORE_URI", str(root / "store"))
        patch.setenv("AMNST_SCRATCH", str(root / "scratch"))
        try:
            yield made
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


@pytest.fixture(scope="session")
def environment() -> Callable[[Path], AbstractContextManager[list[str]]]:
    return _environment


@dataclass
class Catalogue:
    """A manifest with its inputs, its store, its output, and the flow that renders it."""

    root: Path
    model: Path
    rows: Sequence[Mapping[str, str]] = GOOD_ROWS
    listener: Listener | None = None
    work: list[str] = field(default_factory=list)
    """Stages of the artefacts that the last run made, one entry each."""

    @property
    def manifest(self) -> Path:
        return self.root / "inputs" / "manifest.csv"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def store(self) -> Store:
        return Store(str(self.root / "store"))

    def write(self) -> Path:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        lines = [",".join(row.get(name, "") for name in columns) for row in self.rows]
        self.manifest.write_text("\n".join([",".join(columns), *lines, ""]), "utf-8")
        return self.manifest

    def render(self, **options: Any) -> Any:
        """Run the flow `render-catalog`, and return its final state."""
        request = RenderRequest(
            manifest=str(self.write()), output=str(self.output), model=str(self.model), **options
        )
        with _environment(self.root) as self.work, self._listening():
            return render_catalog(request, return_state=True)

    def _listening(self) -> AbstractContextManager[None]:
        return listening(self.listener) if self.listener else nullcontext()

    def report(self) -> pd.DataFrame:
        return pd.read_csv(self.output / "results.csv", keep_default_na=False)

    def statuses(self) -> dict[str, str]:
        report = self.report()
        return dict(zip(report["id"], report["status"], strict=True))

    def records(self, stage: str) -> set[Path]:
        return set((Path(self.store.root_uri) / "results" / stage).rglob("*.json"))

    def objects(self) -> set[Path]:
        """Return the artefacts in the store, without empty folders."""
        return {path for path in Path(self.store.root_uri, "objects").rglob("*") if path.is_file()}

    def made(self) -> dict[str, int]:
        """Return the time at which each output was written."""
        return {path.name: path.stat().st_mtime_ns for path in self.output.glob("*.wav")}


@pytest.fixture(scope="session")
def sha256_of() -> Callable[[Path], str]:
    return lambda path: hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def make_catalogue(prefect: None, inputs: Path, model: Path) -> Callable[[Path], Catalogue]:
    def make(root: Path) -> Catalogue:
        shutil.copytree(inputs, root / "inputs")
        return Catalogue(root, model)

    return make


@pytest.fixture(scope="session")
def finished(
    make_catalogue: Callable[[Path], Catalogue], tmp_path_factory: pytest.TempPathFactory
) -> Catalogue:
    """The valid rows, rendered once for the session; tests may only change copies of it."""
    catalogue = make_catalogue(tmp_path_factory.mktemp("finished") / "catalogue")
    state = catalogue.render()
    assert state.is_completed(), state
    return catalogue


@pytest.fixture
def rendered(finished: Catalogue, tmp_path: Path) -> Catalogue:
    """A copy of the finished catalogue with its own store."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Catalogue(tmp_path / "copy", finished.model)
