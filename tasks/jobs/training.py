"""Jobs of a training: what decides the bytes of each stage's result."""

from dataclasses import dataclass, field
from functools import cached_property

from nst_core.config import ClassifierConfig, MelConfig, SegmentConfig, TrainingConfig
from tasks.jobs.keys import artefact_key, parameters

_SEGMENTS_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """A dataset to cut.

    `folder` says where to read and `content` which content; the key covers only the content.
    """

    folder: str
    content: str
    sr: int = MelConfig.sr
    config: SegmentConfig = field(default_factory=SegmentConfig)
    passed_over: tuple[tuple[str, int], ...] = ()
    """Suffixes of files that are not audio, and the number of each; not part of the key."""

    stage = "segments"

    @property
    def key(self) -> str:
        """Hash of the tracks' bytes, genres and artists, and of the segment settings."""
        settings = {"sr": self.sr, **parameters(self.config)}
        return artefact_key(self.stage, _SEGMENTS_VERSION, settings, [self.content])


_SEGMENT_MELS_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class SegmentMelJob:
    """The mels of a dataset's segments."""

    segments: SegmentJob
    mel: MelConfig = field(default_factory=MelConfig)

    stage = "segment-mels"

    @cached_property
    def key(self) -> str:
        """Hash of the segments and the mel settings."""
        return artefact_key(
            self.stage, _SEGMENT_MELS_VERSION, parameters(self.mel), [self.segments.key]
        )


_TRAINING_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A classifier to train; `dataset` and `licence` are texts for its card."""

    mels: SegmentMelJob
    dataset: str
    licence: str
    architecture: ClassifierConfig = field(default_factory=ClassifierConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    stage = "model"

    @property
    def key(self) -> str:
        """Hash of the data, the network, the schedule and the texts on the card."""
        settings = {
            "architecture": parameters(self.architecture),
            "training": parameters(self.training),
            "dataset": self.dataset,
            "licence": self.licence,
        }
        return artefact_key(self.stage, _TRAINING_VERSION, settings, [self.mels.key])
