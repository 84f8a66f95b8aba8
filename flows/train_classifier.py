"""Flow `train-classifier`: dataset, segments, mels, classifier, model card."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from prefect import flow
from prefect.states import Cancelled
from pydantic import AfterValidator, BaseModel, Field

from flows.parameters import Parameters, Place
from flows.progress import listener
from flows.server.expected_errors import leave_tracebacks_out
from flows.settings import Settings
from nst_core.config import ClassifierConfig, MelConfig, SegmentConfig, TrainingConfig
from tasks.download import download_dataset
from tasks.jobs.training import SegmentJob, SegmentMelJob, TrainJob
from tasks.mels import compute_segment_mels
from tasks.running.retry import healing, patiently
from tasks.running.workspace import Workspace
from tasks.segment import describe_dataset, segment_tracks
from tasks.storage.credentials import scrub
from tasks.storage.files import check_writable
from tasks.storage.store import Record
from tasks.train import publish_model, train_cnn


class TrainRequest(Parameters):
    """Request to train a classifier: the dataset, the settings and the output."""

    free_text = frozenset({"licence"})

    dataset: Annotated[
        Place, Field(title="Dataset", description="Folder or archive: path, s3:// or https:// URI")
    ]
    output: Annotated[Place, Field(title="Output", description="Folder or s3:// prefix")]
    sha256: Annotated[
        str | None, Field(title="SHA-256", description="Expected SHA-256 of the archive")
    ] = None
    licence: Annotated[
        str,
        Field(title="Licence", description="Licence of the data, for the model card"),
        AfterValidator(scrub),
    ] = "not stated; ask whoever gave you the data"
    segments: Annotated[SegmentConfig, Field(title="Segments")] = SegmentConfig()
    architecture: Annotated[ClassifierConfig, Field(title="Architecture")] = ClassifierConfig()
    training: Annotated[TrainingConfig, Field(title="Training")] = TrainingConfig()

    @property
    def dataset_name(self) -> str:
        """Name of the dataset, without folder; a URL's signature must not reach card and UI."""
        place = self.dataset
        if place.startswith(("http://", "https://")):
            place = urlsplit(place).path
        return place.rstrip("/").rpartition("/")[2]

    @property
    def title(self) -> str:
        """Name of the run in the UI."""
        return f"train on {self.dataset_name}"


class TrainResult(BaseModel):
    """Path of the classifier, and its accuracy in validation."""

    weights: str
    track_accuracy: float
    track_interval: tuple[float, float]
    n_validation_tracks: int
    skipped: tuple[str, ...]
    """Audio files that cannot be read, each with the reason."""
    passed_over: dict[str, int]
    """Suffixes of the other files, and the number of each."""


@flow(name="train-classifier", flow_run_name="{request.title}", validate_parameters=True)
def train_classifier(request: TrainRequest) -> Any:
    """Train the genre classifier whose layers the transfer compares.

    Ctrl-C ends the run as Cancelled.
    """
    leave_tracebacks_out()
    try:
        return _train(request)
    except KeyboardInterrupt:
        return Cancelled(message="interrupted; the same training continues with what is finished")


def _train(request: TrainRequest) -> TrainResult:
    workspace = Settings().workspace()
    patiently(check_writable, workspace.store_uri)
    say = listener().stage
    say("download dataset")
    folder = download_dataset(request.dataset, str(workspace.scratch_root()), request.sha256)
    say("segment tracks")
    segments = describe_dataset(folder, sr=MelConfig().sr, config=request.segments)
    weights, cut, trained = healing(lambda: _run_stages(request, segments, workspace))
    return TrainResult.model_validate(
        {
            "weights": weights,
            "skipped": cut.meta["skipped"],
            "passed_over": dict(segments.passed_over),
            **_figures(trained),
        }
    )


def _run_stages(
    request: TrainRequest, segments: SegmentJob, workspace: Workspace
) -> tuple[str, Record, Record]:
    """Run the stages; return the place of the weights, and the records of segments and training."""
    say = listener().stage
    cut = segment_tracks(segments, workspace)
    say("compute mels")
    mels = SegmentMelJob(segments=segments, mel=MelConfig())
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
    return publish_model(job, workspace, request.output), cut, trained


def _described(request: TrainRequest, cut: Record) -> str:
    return (
        f"{request.dataset_name}: {cut.meta['n_tracks']} tracks, {cut.meta['n_segments']} segments"
    )


def _figures(trained: Record) -> dict[str, object]:
    wanted = ("track_accuracy", "track_interval", "n_validation_tracks")
    return {name: trained.meta[name] for name in wanted}
