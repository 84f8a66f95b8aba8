"""Transfer a pair: the neural stage, one at a time on a GPU."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from prefect import task

from nst_core import ALGORITHM_VERSION
from nst_core.analysis import load_analysis
from nst_core.config import TransferConfig
from nst_core.errors import ModelError
from nst_core.memory import return_freed_memory
from nst_core.rendering import save_stylisation
from nst_core.runtime import setup_tensorflow
from tasks import carriers
from tasks.blend import BlendJob
from tasks.caching import ArtefactPolicy, Workspace, artefact, parameters, produce
from tasks.mels import AnalysisJob
from tasks.retry import RETRIES
from tasks.store import Json, Record, artefact_key


@dataclass(frozen=True, kw_only=True)
class TransferJob:
    """One pair at full strength: rows that differ in strength alone share it."""

    music: AnalysisJob
    ambience: AnalysisJob | BlendJob
    model_path: str
    model_sha256: str
    config: TransferConfig

    stage = "transfer"

    @cached_property
    def key(self) -> str:
        """Of both inputs, the model, and all parameters but the strength."""
        return artefact_key(
            self.stage,
            ALGORITHM_VERSION,
            parameters(self.config, without=("strength",)),
            [self.music.key, self.ambience.key, self.model_sha256],
        )


@task(
    name="transfer-pair",
    task_run_name="transfer-{row_id}",
    cache_policy=ArtefactPolicy(),
    **RETRIES,
)
def transfer_pair(job: TransferJob, workspace: Workspace, row_id: str) -> Record:
    """Optimise the mel of one pair."""
    del row_id  # names the run in the UI

    def make(path: Path) -> dict[str, Json]:
        setup_tensorflow(workspace.n_threads)
        from nst_core.model import load_classifier  # noqa: PLC0415  # TensorFlow takes seconds
        from nst_core.transfer import stylise  # noqa: PLC0415

        classifier = load_classifier(job.model_path)
        _check_model(job, classifier.sha256)
        with artefact(job.music, workspace) as music, artefact(job.ambience, workspace) as ambience:
            stylisation = stylise(
                load_analysis(music),
                load_analysis(ambience),
                classifier,
                job.config,
                n_threads=workspace.n_threads,
                scratch=path.parent,
            )
        return_freed_memory()
        save_stylisation(path, stylisation)
        carriers.keep(job.key, job.config.strength, stylisation.carriers)
        best = stylisation.best_iteration
        return {
            "content_loss": float(stylisation.content_loss[best]),
            "style_loss": float(stylisation.style_loss[best]),
            "best_iteration": best,
        }

    return produce(job, workspace, "npz", make)


def _check_model(job: TransferJob, found: str) -> None:
    if found != job.model_sha256:
        raise ModelError(
            f"model {job.model_path}: sha256 {found} is not the {job.model_sha256} that the flow "
            "began with; it was exchanged meanwhile, start the flow again",
            code="model_checksum",
        )
