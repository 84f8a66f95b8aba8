"""The classifier's configuration: segments, network and training."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from nst_core.config.ranges import check_choice, check_ranges, within

ClassifierKind = Literal["1d", "2d"]


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Segments cut from a track for training: 3 s are 66,150 samples or 259 frames."""

    duration_s: float = within(
        3.0, 0.25, 60.0, title="Duration", help="Length of a segment in seconds, 0.25 to 60"
    )
    overlap: float = within(
        0.0, 0.0, 0.95, title="Overlap", help="Share that the next segment repeats, 0 to 0.95"
    )
    min_fill: float = within(
        0.5,
        0.0,
        1.0,
        title="Least fill",
        help="A last segment shorter than this share is dropped, a longer one zero-padded; 0 to 1",
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Genre classifier with few conv layers, for low-level timbre rather than accuracy."""

    kind: ClassifierKind = field(
        default="1d",
        metadata={
            "title": "Kind",
            "description": "1d: frequency is the channel axis; 2d: frequency is an image axis",
        },
    )
    n_filters: int = within(128, 1, 4096, title="Filters", help="Filters per layer, 1 to 4096")
    n_layers: int = within(2, 1, 8, title="Layers", help="Convolutional layers, 1 to 8")
    kernel_size: int = within(
        3, 1, 31, title="Kernel size", help="Frames (and, for 2d, bands) per kernel, 1 to 31"
    )
    dropout: float = within(
        0.5, 0.0, 0.95, title="Dropout", help="Dropout of the pooled features, 0 to 0.95"
    )
    band_group: int = within(
        8,
        1,
        64,
        title="Bands per group",
        help="Mel bands whose mean and deviation the first layer sees, 1 to 64",
    )
    """The level and peakiness of a region describe a timbre; exact partials would identify a
    recording."""
    band_dropout: float = within(
        0.1,
        0.0,
        0.95,
        title="Band dropout",
        help="Dropout of whole mel bands at the input, 0 to 0.95",
    )
    """Keeps the network from recognising recordings by their exact partials."""

    def __post_init__(self) -> None:
        check_choice(self, "kind", get_args(ClassifierKind))
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings for training the classifier."""

    n_epochs: int = within(
        8, 1, 10_000, title="Epochs", help="Passes over the training segments, 1 to 10000"
    )
    batch_size: int = within(
        64, 1, 65_536, title="Batch size", help="Segments per step, 1 to 65536"
    )
    learning_rate: float = within(
        1e-3, 1e-7, 1.0, title="Learning rate", help="Highest learning rate, 1e-7 to 1"
    )
    weight_decay: float = within(
        1e-3, 0.0, 1e3, title="Weight decay", help="Weight decay of the optimiser, 0 to 1000"
    )
    label_smoothing: float = within(
        0.1,
        0.0,
        0.9,
        title="Label smoothing",
        help="Share of a label that is spread over all genres, 0 to 0.9",
    )
    validation_share: float = within(
        0.1,
        0.05,
        0.5,
        title="Validation share",
        help="Share of the tracks for validation, 0.05 to 0.5",
    )
    settle_share: float = within(
        0.5,
        0.0,
        0.99,
        title="Settling share",
        help="Share of the schedule before the first epoch that may be kept, 0 to 0.99",
    )
    """While the rate is high, an epoch that happens to suit a few validation artists could
    win."""
    augment_gain_db: float = within(
        0.0,
        0.0,
        40.0,
        title="Random level",
        help="Standard deviation of the level in dB, 0 (none) to 40",
    )
    """Neither this field nor the next two has improved results so far."""
    augment_eq_db: float = within(
        0.0,
        0.0,
        40.0,
        title="Random equalisation",
        help="Standard deviation of a smooth equalisation in dB, 0 (none) to 40",
    )
    mix_share: float = within(
        0.0,
        0.0,
        1.0,
        title="Mixed share",
        help="Share of the segments that are blended with another one (mixup), 0 (none) to 1",
    )
    seed: int = within(
        0,
        0,
        2**32 - 1,
        title="Seed",
        help="Seed of all randomness, 0 to 4294967295; the same seed gives the same result",
    )

    def __post_init__(self) -> None:
        check_ranges(self)
