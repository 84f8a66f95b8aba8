"""Train the CNN: segments' mels become a classifier with its card."""

import logging
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from nst_core.config import ClassifierConfig, TrainingConfig
from nst_core.runtime import setup_tensorflow
from nst_core.weights import DEFAULT_MODEL, SUFFIX
from tasks.caching import ArtefactPolicy, Workspace, artefact, parameters, produce
from tasks.files import join, publish
from tasks.mels import SegmentMelJob
from tasks.retry import RETRIES
from tasks.store import Json, Record, artefact_key

logger = logging.getLogger(__name__)

_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A classifier to train; `dataset` and `licence` are words for its card."""

    mels: SegmentMelJob
    dataset: str
    licence: str
    architecture: ClassifierConfig = field(default_factory=ClassifierConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    stage = "model"

    @property
    def key(self) -> str:
        """Of the data, the network and the schedule, and of the words on the card."""
        settings = {
            "architecture": parameters(self.architecture),
            "training": parameters(self.training),
            "dataset": self.dataset,
            "licence": self.licence,
        }
        return artefact_key(self.stage, _VERSION, settings, [self.mels.key])


@task(name="train-cnn", cache_policy=ArtefactPolicy(), **RETRIES)
def train_cnn(job: TrainJob, workspace: Workspace) -> Record:
    """Fit the classifier; weights, card and pictures become one zip."""

    def make(path: Path) -> dict[str, Json]:
        setup_tensorflow(workspace.n_threads)
        from nst_core.dataset import load_segment_set  # noqa: PLC0415  # after the set-up
        from nst_core.training import train_and_save  # noqa: PLC0415  # TensorFlow takes seconds

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
            on_epoch=lambda record: logger.info(
                "epoch %d of %d: validation accuracy %.3f per segment",
                record.epoch + 1,
                job.training.n_epochs,
                record.val_accuracy,
            ),
        )
        with zipfile.ZipFile(path, "w") as archive:
            for part in sorted(folder.iterdir()):
                # Without the time of day, so that the same weights give the same bytes.
                archive.writestr(zipfile.ZipInfo(part.name), part.read_bytes())
        return {
            "segment_accuracy": evaluation.segment_accuracy,
            "track_accuracy": evaluation.track_accuracy,
            "track_interval": list(evaluation.track_interval),
            "n_validation_tracks": evaluation.n_tracks,
        }

    return produce(job, workspace, "zip", make)


@task(name="publish-model", cache_policy=NO_CACHE, **RETRIES)
def publish_model(job: TrainJob, workspace: Workspace, output_uri: str) -> str:
    """Put weights, card and pictures into a folder or prefix; return the weights' place."""
    with artefact(job, workspace) as source, workspace.scratch_folder() as folder:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
        names = sorted(part.name for part in folder.iterdir())
        # The card names the weights' hash: whoever reads it finds the weights in place.
        for name in sorted(names, key=lambda name: name.endswith(".json")):
            publish(folder / name, join(output_uri, name))
        weights = next(name for name in names if name.endswith(SUFFIX))
    return join(output_uri, weights)
