"""How it should sound: the only home of every default.

Frozen dataclasses, checked when they are made. They are also the flow
parameters, and their canonical JSON is part of every cache key.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from nst_core.errors import ConfigError

Start = Literal["carrier", "music", "ambience", "noise", "mix"]
AudioFormat = Literal["wav", "flac", "ogg"]
ClassifierKind = Literal["1d", "2d"]
Subtype = Literal["PCM_16", "PCM_24", "PCM_32", "FLOAT", "VORBIS"]

LEVEL = 0.1
"""Root mean square, full scale 1, at which sounds are analysed, trained on and carried."""


def _check(config: object, name: str, low: float, high: float) -> None:
    value = getattr(config, name)
    if isinstance(value, bool) or not (isinstance(value, int | float) and low <= value <= high):
        raise ConfigError(
            f"{type(config).__name__}.{name} = {value!r} is outside {low:g}..{high:g}"
        )


def _check_count(config: object, name: str, low: int, high: int) -> None:
    _check(config, name, low, high)
    value = getattr(config, name)
    if not isinstance(value, int):
        raise ConfigError(f"{type(config).__name__}.{name} = {value!r} is not a whole number")


def _check_hop(config: object, n_fft: str, hop_length: str) -> None:
    _check_count(config, n_fft, 64, 65_536)
    _check_count(config, hop_length, 1, getattr(config, n_fft) // 2)
    if getattr(config, n_fft) % getattr(config, hop_length):
        raise ConfigError(
            f"{type(config).__name__}.{hop_length} = {getattr(config, hop_length)} does not "
            f"divide {n_fft} = {getattr(config, n_fft)}"
        )


def _check_choice(config: object, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value not in choices:
        raise ConfigError(
            f"{type(config).__name__}.{name} = {value!r} is not one of {', '.join(choices)}"
        )


def _within(default: float | None, low: float, high: float, *, title: str, help: str) -> Any:  # noqa: A002
    """A field that states its range once: for `_check_ranges`, and for the forms made of it."""
    return field(
        default=default, metadata={"ge": low, "le": high, "title": title, "description": help}
    )


def _check_ranges(config: Any) -> None:
    for each in dataclasses.fields(config):
        if "ge" in each.metadata and getattr(config, each.name) is not None:
            check = _check_count if isinstance(each.default, int) else _check
            check(config, each.name, each.metadata["ge"], each.metadata["le"])


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """The power mel-spectrogram every stage shares (the customer's figures)."""

    sr: int = 22_050
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 384

    def __post_init__(self) -> None:
        _check_count(self, "sr", 8_000, 96_000)
        _check_hop(self, "n_fft", "hop_length")
        _check_count(self, "n_mels", 1, self.n_fft // 2 + 1)


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Windows cut from a track to train on: 3 s are 66,150 samples, 259 frames."""

    duration_s: float = _within(
        3.0, 0.25, 60.0, title="Duration", help="Of a segment in seconds, 0.25 to 60"
    )
    overlap: float = _within(
        0.0, 0.0, 0.95, title="Overlap", help="Share that the next one repeats, 0 to 0.95"
    )
    min_fill: float = _within(
        0.5,
        0.0,
        1.0,
        title="Least fill",
        help="A last one shorter than this share is dropped, a longer one zero-padded; 0 to 1",
    )

    def __post_init__(self) -> None:
        _check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """What a sound file may be; beyond it the loader refuses."""

    min_duration_s: float = 0.25
    max_duration_s: float = 1800.0
    max_ambience_s: float = 300.0
    """An ambience is heard for so long: a texture has shown all it has by then, and hours
    of it would cost memory and time whatever the music's length."""
    max_bytes: int = 2 << 30
    min_sr: int = 8_000
    max_sr: int = 384_000
    max_channels: int = 8
    max_abs: float = 1e3
    """A sample beyond this (full scale is 1) is damage, not loudness."""
    silence_rms: float = 1e-5

    def __post_init__(self) -> None:
        _check(self, "min_duration_s", 0.0, 60.0)
        _check(self, "max_duration_s", self.min_duration_s, 1e6)
        _check(self, "max_ambience_s", self.min_duration_s, 1e6)
        _check_count(self, "max_bytes", 1, 1 << 50)
        _check_count(self, "min_sr", 1, 1_000_000)
        _check_count(self, "max_sr", self.min_sr, 10_000_000)
        _check_count(self, "max_channels", 1, 1024)
        _check(self, "max_abs", 1.0, 1e9)
        _check(self, "silence_rms", 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class CarrierConfig:
    """Parts A and B of the transfer: the ambience carries the music's spectrum.

    Figures tuned on eleven development pairs and confirmed on five untouched ones.
    """

    n_fft: int = 4096
    """Long window: semitones down to 90 Hz fall into bins of their own."""
    hop_length: int = 512
    whiten_bins: int = 3
    whiten_frames: int = 9
    sharpen: float = 1.5
    """Exponent on the music's magnitude over its local mean: partials stand out."""
    sharpen_bins: int = 64
    band_n_fft: int = 512
    band_hop_length: int = 64
    n_bands: int = 64
    texture_frames: int = 30
    """Standard deviation of the Gaussian that tells an ambience's grain from its swells."""
    texture_exponent: float = 1.15
    texture_cap: float = 50.0
    eq: float = 0.55
    """How far the long-term spectrum moves to the ambience's: 0 not at all, 1 wholly."""
    edge_frames: float = 10.0
    """Width of the smoothing that keeps onsets; 26 loses content, follow and pairs."""
    edge_bands: int = 8
    sustained_sharpness: float = 4.0
    """How sharply that smoothing stops where the level rises, in sustained music: a rise is a
    note's beginning there, and is kept."""
    percussive_sharpness: float = 0.05
    """The same in percussive music, whose many attacks are a texture of their own: kept, they
    would take the place of the ambience's."""
    sustained_grain: float = 0.9
    """Up to this deviation of its band powers about their slow part music counts as sustained:
    white noise has 0.6, strings 0.7, singing 1.0."""
    percussive_grain: float = 1.25
    """From this on it counts as percussive: a guitar has 1.15, techno 1.7."""
    expand: float = 0.2
    """Exponent of the loudness contour laid over the target: raises the carrier gate, and at
    0.4 the level pumps."""
    expand_frames: float = 17.0
    n_impositions: int = 2
    """With a `refocus` before each but the first."""
    refocus_full_hz: float = 1000.0
    """Below this the space between partials is lowered as far as they stand out of it; above
    3 kHz it rings."""
    refocus_none_hz: float = 3000.0
    refocus_max_gain: float = 2.0
    """On a partial itself."""

    def __post_init__(self) -> None:
        _check_hop(self, "n_fft", "hop_length")
        _check_hop(self, "band_n_fft", "band_hop_length")
        _check_count(self, "n_bands", 2, 1024)
        _check_count(self, "n_impositions", 1, 20)
        for name in ("whiten_bins", "whiten_frames", "sharpen_bins", "texture_frames"):
            _check_count(self, name, 1, 10_000)
        _check_count(self, "edge_bands", 0, 1024)
        _check(self, "eq", 0.0, 1.0)
        _check(self, "sharpen", 0.1, 4.0)
        _check(self, "texture_exponent", 0.0, 4.0)
        _check(self, "texture_cap", 1.0, 1e6)
        _check(self, "edge_frames", 0.5, 10_000.0)
        _check(self, "percussive_sharpness", 1e-3, 100.0)
        _check(self, "sustained_sharpness", 1e-3, 100.0)
        _check(self, "sustained_grain", 0.01, 10.0)
        _check(self, "percussive_grain", 1.001 * self.sustained_grain, 100.0)
        _check(self, "expand", 0.0, 4.0)
        _check(self, "expand_frames", 0.5, 10_000.0)
        _check(self, "refocus_full_hz", 20.0, 100_000.0)
        _check(self, "refocus_none_hz", self.refocus_full_hz + 1, 200_000.0)
        _check(self, "refocus_max_gain", 1.0, 1e3)


@dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """Power mel to waveform without a carrier."""

    n_power_updates: int = 10
    """Multiplicative updates from mel bands to bins."""
    n_iterations: int = 12
    """Fast Griffin-Lim steps after the phase-gradient start (8 fast, 32 best)."""
    momentum: float = 0.99
    chunk_frames: int = 1024

    def __post_init__(self) -> None:
        _check_count(self, "n_power_updates", 1, 1000)
        _check_count(self, "n_iterations", 0, 1000)
        _check(self, "momentum", 0.0, 2.0)
        _check_count(self, "chunk_frames", 16, 1 << 20)


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """One transfer: what is kept, what is taken, and how hard it is pushed."""

    strength: float = 0.7
    """0 returns the music, 1 is the ambience playing it."""
    start: Start = "carrier"
    """Where the optimisation starts. ``carrier`` keeps the ambience's own phases;
    the others start from a mel alone, and the phase is retrieved afterwards."""
    content_layers: tuple[str, ...] = ("input",)
    style_layers: tuple[str, ...] = ("conv1",)
    content_weight: float = 0.75
    style_weight: float = 3.0
    n_iterations: int = 8
    learning_rate: float = 0.18
    seed: int = 0
    local_norm_frames: int = 21
    """Moving-mean window of the style input: without it the optimiser fills in
    ambience that does not follow the music."""
    style_lags: tuple[int, ...] = (1, 2, 4, 8)
    deviation_floor: float = 0.3
    """Whitening floor, as a share of the mean deviation."""
    max_gain_db: float = 20.0
    """Bound of the mel gain that is laid on the carrier's spectrum."""
    window_s: float = 60.0
    """Longer music is rendered in windows of this length, to bound memory."""
    window_overlap_s: float = 2.0
    carrier: CarrierConfig = field(default_factory=CarrierConfig)
    inversion: InversionConfig = field(default_factory=InversionConfig)

    def __post_init__(self) -> None:
        _check(self, "strength", 0.0, 1.0)
        _check_choice(self, "start", get_args(Start))
        _check(self, "content_weight", 0.0, 1e6)
        _check(self, "style_weight", 0.0, 1e6)
        _check_count(self, "n_iterations", 0, 10_000)
        _check(self, "learning_rate", 1e-6, 10.0)
        _check_count(self, "seed", 0, 2**32 - 1)
        _check_count(self, "local_norm_frames", 1, 10_001)
        if len(set(self.style_lags)) < len(self.style_lags):
            raise ConfigError(f"TransferConfig.style_lags = {self.style_lags!r} names a lag twice")
        if self.local_norm_frames % 2 == 0:
            raise ConfigError(
                f"TransferConfig.local_norm_frames = {self.local_norm_frames} is even; a centred "
                "window has an odd length"
            )
        for lag in self.style_lags:
            if isinstance(lag, bool) or not isinstance(lag, int) or lag < 1:
                raise ConfigError(
                    f"TransferConfig.style_lags = {self.style_lags!r} holds a lag that "
                    "is not a whole number of 1 or more"
                )
        _check(self, "deviation_floor", 0.0, 1.0)
        _check(self, "max_gain_db", 0.0, 120.0)
        _check(self, "window_s", 10.0, 1800.0)
        _check(self, "window_overlap_s", 0.1, self.window_s / 4)
        if not self.style_layers or not self.content_layers:
            raise ConfigError("content_layers and style_layers each need one layer at least")
        if self.content_weight + self.style_weight <= 0:
            raise ConfigError("content_weight and style_weight are both 0; give one a value")


DEFAULT_PRESET = "real"

PRESETS: dict[str, TransferConfig] = {
    DEFAULT_PRESET: TransferConfig(),
    "fast": TransferConfig(n_iterations=4, learning_rate=0.25),
    "quality": TransferConfig(n_iterations=24, learning_rate=0.08),
    "closed": TransferConfig(n_iterations=0),
    "mel": TransferConfig(start="music", n_iterations=30, learning_rate=0.25),
    "original": TransferConfig(
        start="music",
        content_layers=("input", "conv1"),
        style_layers=("conv2",),
        content_weight=50.0,
        style_weight=10.0,
        n_iterations=100,
    ),
}
"""``fast`` and ``quality`` take fewer and more steps, ``closed`` none.
``mel`` and ``original`` retrieve the phase of a mel: what the ambience does to the music's own
spectrogram; ``original`` has the weights (50 and 10) and the 100 steps of the project this one
grew from, on the nearest layers of our classifier and with our losses, which do not diverge."""


def preset(name: str, **overrides: object) -> TransferConfig:
    """Return the named preset with some fields replaced.

    Raises
    ------
    ConfigError
        For a name that is not in `PRESETS` or a value outside its range.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is not one of {', '.join(PRESETS)}")
    return dataclasses.replace(PRESETS[name], **overrides)  # type: ignore[arg-type]  # checked by the dataclass


SUBTYPES: dict[AudioFormat, tuple[Subtype, ...]] = {
    "wav": ("PCM_16", "PCM_24", "PCM_32", "FLOAT"),
    "flac": ("PCM_16", "PCM_24"),
    "ogg": ("VORBIS",),
}
"""libsndfile subtypes of each format; the first is its usual one."""


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """What is written for a listener."""

    format: AudioFormat = field(
        default="wav",
        metadata={"title": "Format", "description": "Of outputs whose row names none"},
    )
    subtype: Subtype | None = field(
        default=None,
        metadata={
            "title": "Subtype",
            "description": "wav: not VORBIS; flac: PCM_16 or PCM_24; ogg: VORBIS; "
            "None: the format's usual one",
        },
    )
    """From `SUBTYPES`."""
    sample_rate: int = _within(
        MelConfig.sr, 8_000, 192_000, title="Sample rate", help="In Hz, 8000 to 192000"
    )
    loudness_lufs: float | None = _within(
        None,
        -70.0,
        0.0,
        title="Loudness",
        help="In LUFS, -70 to 0; None: as loud as the music",
    )
    """Integrated loudness (ITU-R BS.1770-4)."""
    max_peak: float = _within(
        0.99,
        0.01,
        1.0,
        title="Highest peak",
        help="Of full scale, 0.01 to 1; louder is turned down",
    )

    def __post_init__(self) -> None:
        _check_choice(self, "format", tuple(SUBTYPES))
        if self.subtype is not None:
            _check_choice(self, "subtype", SUBTYPES[self.format])
        _check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """The genre classifier: few conv layers, for low-level timbre rather than accuracy."""

    kind: ClassifierKind = field(
        default="1d",
        metadata={
            "title": "Kind",
            "description": "1d: frequency is the channel axis; 2d: an image axis",
        },
    )
    n_filters: int = _within(128, 1, 4096, title="Filters", help="Of a layer, 1 to 4096")
    n_layers: int = _within(2, 1, 8, title="Layers", help="Convolutions, 1 to 8")
    kernel_size: int = _within(
        3, 1, 31, title="Kernel size", help="In frames, of 2d also in bands; 1 to 31"
    )
    dropout: float = _within(
        0.5, 0.0, 0.95, title="Dropout", help="Of the pooled features, 0 to 0.95"
    )
    band_group: int = _within(
        8,
        1,
        64,
        title="Bands per group",
        help="Mel bands of which the first layer sees mean and deviation, 1 to 64",
    )
    """The level of a region and how peaky it is make a timbre, exact partials make a
    recording."""
    band_dropout: float = _within(
        0.1, 0.0, 0.95, title="Band dropout", help="Of whole mel bands at the input, 0 to 0.95"
    )
    """No recording is known by its exact partials."""

    def __post_init__(self) -> None:
        _check_choice(self, "kind", get_args(ClassifierKind))
        _check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the classifier is fitted."""

    n_epochs: int = _within(
        8, 1, 10_000, title="Epochs", help="Passes over the training segments, 1 to 10000"
    )
    batch_size: int = _within(
        64, 1, 65_536, title="Batch size", help="Segments per step, 1 to 65536"
    )
    learning_rate: float = _within(
        1e-3, 1e-7, 1.0, title="Learning rate", help="At its highest, 1e-7 to 1"
    )
    weight_decay: float = _within(
        1e-3, 0.0, 1e3, title="Weight decay", help="Of the optimiser, 0 to 1000"
    )
    label_smoothing: float = _within(
        0.1, 0.0, 0.9, title="Label smoothing", help="Share of a label given to all, 0 to 0.9"
    )
    validation_share: float = _within(
        0.1, 0.05, 0.5, title="Validation share", help="Of the tracks, 0.05 to 0.5"
    )
    settle_share: float = _within(
        0.5,
        0.0,
        0.99,
        title="Settling share",
        help="Of the schedule before the first epoch that may be kept, 0 to 0.99",
    )
    """While the rate is high, an epoch that happens to suit a few validation artists would
    win."""
    augment_gain_db: float = _within(
        0.0, 0.0, 40.0, title="Random level", help="Its deviation in dB, 0 (none) to 40"
    )
    """Neither this nor the next two has paid so far."""
    augment_eq_db: float = _within(
        0.0,
        0.0,
        40.0,
        title="Random equalisation",
        help="Deviation of a smooth one in dB, 0 (none) to 40",
    )
    mix_share: float = _within(
        0.0,
        0.0,
        1.0,
        title="Mixed share",
        help="Of the segments, those blended with another one (mixup), 0 (none) to 1",
    )
    seed: int = _within(
        0, 0, 2**32 - 1, title="Seed", help="0 to 4294967295; the same one trains the same"
    )

    def __post_init__(self) -> None:
        _check_ranges(self)
