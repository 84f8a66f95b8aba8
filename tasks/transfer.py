"""Transfer a pair: the neural stage, which runs one at a time on a GPU."""

from pathlib import Path
from typing import Any

from prefect import task

from nst_core.errors import ModelError
from nst_core.runtime.memory import return_freed_memory
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.transfer.analysis import load_analysis, load_recording
from nst_core.transfer.carrying import carry_and_refine
from nst_core.transfer.stylisation import Stylisation, save_stylisation
from tasks.jobs.pair import PairJob
from tasks.running import handover as carriers
from tasks.running.caching import ArtefactPolicy, artefact, produce
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.storage.store import Json, Record


@task(
    name="transfer-pair",
    task_run_name="transfer-{job.row_id}",
    cache_policy=ArtefactPolicy(result="transfer"),
    **RETRIES,
)
def transfer_pair(job: PairJob, workspace: Workspace) -> Record:
    """Optimise the mel of one pair."""

    def make(path: Path) -> dict[str, Json]:
        with artefact(job.music, workspace) as music, artefact(job.ambience, workspace) as ambience:
            stylisation = _stylise(job, music, ambience, workspace, path.parent)
        return_freed_memory()
        save_stylisation(path, stylisation)
        carriers.keep(job.transfer.key, job.strength, stylisation.carriers)
        if stylisation.gain_db is None:
            return {}
        best = stylisation.best_iteration
        return {
            "content_loss": float(stylisation.content_loss[best]),
            "style_loss": float(stylisation.style_loss[best]),
            "best_iteration": best,
        }

    return produce(job.transfer, workspace, "npz", make)


def _stylise(
    job: PairJob, music: Path, ambience: Path, workspace: Workspace, scratch: Path
) -> Stylisation:
    how: Any = {
        "strength": job.strength, "n_threads": workspace.n_threads, "scratch": scratch,
    }  # fmt: skip
    if not job.config.uses_network:
        return carry_and_refine(load_recording(music), load_recording(ambience), job.config, **how)
    setup_tensorflow(workspace.n_threads)
    from nst_core.classifier.saving import load_classifier  # noqa: PLC0415  # TensorFlow takes seconds
    from nst_core.transfer.neural import stylise  # noqa: PLC0415

    classifier = load_classifier(job.model_path)
    _check_model(job, classifier.sha256)
    inputs = load_analysis(music), load_analysis(ambience)
    return stylise(*inputs, classifier, job.config, **how)


def _check_model(job: PairJob, found: str) -> None:
    if found != job.model_sha256:
        raise ModelError(
            f"model {job.model_path}: sha256 is {found}, but was {job.model_sha256} when the flow "
            "started; the file changed while the flow was running; run it again",
            code="model_checksum",
        )
