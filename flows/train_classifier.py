"""Flow `train-classifier`: dataset, segments, mels, classifier, model card."""

from typing import Annotated

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

from flows.progress import listener
from flows.settings import Settings
from nst_core.config import (
    ClassifierConfig,
    MelConfig,
    SegmentConfig,
    TrainingConfig,
)
from tasks.download import download_dataset
from tasks.files import check_writable
from tasks.mels import SegmentMelJob, compute_segment_mels
from tasks.retry import patiently
from tasks.segment import describe_dataset, segment_tracks
from tasks.store import Record
from tasks.train import TrainJob, publish_model, train_cnn


class TrainRequest(BaseModel):
    """What to train on, and where the classifier goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Annotated[
        str, Field(title="Dataset", description="Folder or archive; path, s3:// or https://")
    ]
    output: Annotated[str, Field(title="Output", description="Folder or s3:// prefix")]
    sha256: Annotated[
        str | None, Field(title="SHA-256", description="What the archive must have")
    ] = None
    licence: Annotated[
        str, Field(title="Licence", description="Of the data, for the model card")
    ] = "not stated; ask whoever gave you the data"
    segments: Annotated[SegmentConfig, Field(title="Segments")] = SegmentConfig()
    architecture: Annotated[ClassifierConfig, Field(title="Architecture")] = ClassifierConfig()
    training: Annotated[TrainingConfig, Field(title="Training")] = TrainingConfig()


class TrainResult(BaseModel):
    """Where the classifier is, and how well it does in validation."""

    weights: str
    track_accuracy: float
    track_interval: tuple[float, float]
    n_validation_tracks: int
    skipped: tuple[str, ...]


@flow(name="train-classifier", validate_parameters=True)
def train_classifier(request: TrainRequest) -> TrainResult:
    """Train the genre classifier whose layers the transfer listens with."""
    workspace = Settings().workspace()
    patiently(lambda: check_writable(workspace.store_uri))
    say = listener().stage
    say("download dataset")
    folder = download_dataset(request.dataset, str(workspace.scratch_root()), request.sha256)
    say("segment tracks")
    mel = MelConfig()
    segments = describe_dataset(folder, sr=mel.sr, config=request.segments)
    cut = segment_tracks(segments, workspace)
    say("compute mels")
    mels = SegmentMelJob(segments=segments, mel=mel)
    compute_segment_mels(mels, workspace)
    say("train CNN")
    job = TrainJob(
        mels=mels,
        dataset=_described(request, cut),
        licence=request.licence,
        architecture=request.architecture,
        training=request.training,
    )
    trained = train_cnn(job, workspace)
    say("publish model")
    weights = publish_model(job, workspace, request.output)
    return TrainResult.model_validate(
        {"weights": weights, "skipped": cut.meta["skipped"], **_figures(trained)}
    )


def _described(request: TrainRequest, cut: Record) -> str:
    name = request.dataset.rstrip("/").rpartition("/")[2]
    return f"{name}: {cut.meta['n_tracks']} tracks, {cut.meta['n_segments']} segments"


def _figures(trained: Record) -> dict[str, object]:
    wanted = ("track_accuracy", "track_interval", "n_validation_tracks")
    return {name: trained.meta[name] for name in wanted}
