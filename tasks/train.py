"""Train the CNN on the mels of segments, and publish the classifier with its card."""

import logging
import shutil
import zipfile
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from nst_core.classifier.weights import DEFAULT_MODEL, SUFFIX
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from tasks.jobs.training import TrainJob
from tasks.running.caching import ArtefactPolicy, artefact, produce
from tasks.running.retry import RETRIES
from tasks.running.workspace import Workspace
from tasks.storage.files import publish
from tasks.storage.store import Json, Record
from tasks.storage.uris import join

logger = logging.getLogger(__name__)


@task(name="train-cnn", cache_policy=ArtefactPolicy(), **RETRIES)
def train_cnn(job: TrainJob, workspace: Workspace) -> Record:
    """Train the classifier, and store weights, card and pictures in one zip.

    An interrupted training goes on after its last epoch, on a machine with the same scratch folder.
    """
    checkpoint = workspace.scratch_root() / "training" / job.key

    def make(path: Path) -> dict[str, Json]:
        setup_tensorflow(workspace.n_threads)
        from nst_core.classifier.dataset import load_segment_set  # noqa: PLC0415  # after the set-up
        from nst_core.classifier.training import train_and_save  # noqa: PLC0415  # TensorFlow takes seconds

        with artefact(job.mels, workspace) as source:
            data = load_segment_set(source)
        folder = path.parent / "model"
        folder.mkdir()
        evaluation = train_and_save(
            data,
            folder / DEFAULT_MODEL.name,
            architecture=job.architecture,
            config=job.training,
            mel=job.mels.mel,
            facts={"dataset": job.dataset, "licence": job.licence},
            checkpoint=checkpoint,
            on_epoch=lambda record: logger.info(
                "epoch %d of %d: validation accuracy %.3f per segment",
                record.epoch + 1,
                job.training.n_epochs,
                record.val_accuracy,
            ),
        )
        with zipfile.ZipFile(path, "w") as archive:
            for part in sorted(folder.iterdir()):
                # Leave out the time of day, so that the same weights give the same bytes.
                archive.writestr(zipfile.ZipInfo(part.name), part.read_bytes())
        return {
            "segment_accuracy": evaluation.segment_accuracy,
            "track_accuracy": evaluation.track_accuracy,
            "track_interval": list(evaluation.track_interval),
            "n_validation_tracks": evaluation.n_tracks,
        }

    record = produce(job, workspace, "zip", make)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return record


@task(name="publish-model", cache_policy=NO_CACHE, **RETRIES)
def publish_model(job: TrainJob, workspace: Workspace, output_uri: str) -> str:
    """Publish weights, card and pictures to a folder or prefix; return the URI of the weights."""
    with artefact(job, workspace) as source, workspace.scratch_folder() as folder:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
        names = sorted(part.name for part in folder.iterdir())
        # Publish the card last: a reader of the card then finds the weights that it names.
        for name in sorted(names, key=lambda name: name.endswith(".json")):
            publish(folder / name, join(output_uri, name))
        weights = next(name for name in names if name.endswith(SUFFIX))
    return join(output_uri, weights)
