"""Configuration of the transfer, and its presets."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, get_args

from nst_core.config.ranges import check, check_choice, check_hop, check_ranges, within
from nst_core.config.refining import RefineConfig
from nst_core.errors import ConfigError

Start = Literal["carrier", "music", "ambience", "noise", "mix"]


@dataclass(frozen=True, kw_only=True)
class CarrierConfig:
    """Closed-form transfer: the ambience carries the music's spectrum.

    Windows and frames are those of 44.1 and 48 kHz. The values were chosen on real pairs, and
    confirmed on other recordings: see ``tests/benchmarks/README.md``.
    """

    n_fft: int = within(8192, 64, 65_536)
    """Long window: semitones down to 90 Hz fall into separate bins."""
    hop_length: int = within(1024, 1, 32_768)
    whiten_bins: int = within(3, 1, 10_000)
    whiten_frames: int = within(9, 1, 10_000)
    sharpen: float = within(2.5, 0.1, 4.0)
    """Exponent on the music's magnitude over its local mean, which makes partials stand out."""
    sharpen_bins: int = within(64, 1, 10_000)
    band_n_fft: int = within(1024, 64, 65_536)
    band_hop_length: int = within(128, 1, 32_768)
    n_bands: int = within(76, 2, 1024)
    texture_frames: int = within(30, 1, 10_000)
    """Standard deviation of the Gaussian that separates an ambience's grain from its swells."""
    grain: float = within(
        1.15,
        0.0,
        2.0,
        title="Grain",
        help="How much of the ambience's fast fluctuation the result has, 0 (none) to 2",
    )
    """Exponent of the grain: how much of the ambience's fast fluctuation the result has. A sparse
    ambience gets a smaller one, see `sparse_grain`."""
    sparse_grain: float = within(0.85, 0.1, 10.0)
    """An ambience counts as sparse from this deviation of its band powers from their slow part:
    rain has 0.75, a river 1.1, a keyboard 2.0."""
    texture_cap: float = within(50.0, 1.0, 1e6)
    swell: float = within(
        0.4,
        0.0,
        1.0,
        title="Swell",
        help="How much of the ambience's slow movement (waves, gusts, passing cars) the result "
        "has, 0 (none) to 1",
    )
    """How much of the ambience's slow movement (waves, gusts, passing cars) the result has."""
    swell_frames: int = within(90, 1, 10_000)
    """Standard deviation of the Gaussian that this movement is measured with: a quarter of a
    second."""
    excitation: float = within(
        0.7,
        0.0,
        1.0,
        title="Excitation",
        help="How much of the sound is the ambience itself: 0 (the ambience tuned to the music's "
        "partials) to 1 (the ambience alone, at the music's levels)",
    )
    """How much of the carrier's power is the ambience's own sound, without the music's partials:
    this share where the melody is, and more above. At 0 there is none, at 1 nothing else."""
    excitation_low_hz: float = within(300.0, 20.0, 100_000.0)
    """Up to this frequency, `excitation` itself is the share."""
    excitation_high_hz: float = within(1500.0, 20.0, 200_000.0)
    """From this frequency on, nearly all is the ambience's own sound."""
    blend_n_fft: int = within(4096, 64, 65_536)
    """Window in which the ambience's own sound is blended in, frequency by frequency."""
    timbre: float = within(
        0.5,
        0.0,
        1.0,
        title="Timbre",
        help="How far the long-term spectrum moves from the music's (0) to the ambience's (1)",
    )
    """How far the long-term spectrum moves to the ambience's up to 2 kHz: 0 not at all, 1
    completely. More would cost content. Higher bands move further."""
    timbre_high_hz: float = within(4000.0, 100.0, 200_000.0)
    """From this frequency on it moves nearly completely; the octave below is in between."""
    edge_frames: float = within(10.0, 0.5, 10_000.0)
    """Width of the smoothing that keeps onsets; 26 lowers content and follow, and fails pairs."""
    edge_bands: int = within(8, 0, 1024)
    attack: float = within(
        0.75,
        0.0,
        1.0,
        title="Attack",
        help="How sharp the music's attacks stay, 0 (blurred) to 1",
    )
    """How sharp attacks stay: how much a rise of the level reduces that smoothing. At 0 every
    attack is blurred."""
    expand: float = within(0.2, 0.0, 4.0)
    """Exponent of the loudness contour that is applied to the target: it raises `carrier_db`, but
    at 0.4 the level pumps."""
    expand_frames: float = within(17.0, 0.5, 10_000.0)
    n_impositions: int = within(2, 1, 20)
    """Passes, with a `refocus` before each except the first."""
    refocus_full_hz: float = within(1000.0, 20.0, 100_000.0)
    """Below this frequency, the space between partials is lowered by as much as they stand out;
    above 3 kHz this would ring."""
    refocus_none_hz: float = within(3000.0, 20.0, 200_000.0)
    refocus_max_gain: float = within(2.0, 1.0, 1e3)
    """Largest gain, which a partial itself gets."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_hop(self, "n_fft", "hop_length")
        check_hop(self, "band_n_fft", "band_hop_length")
        check(self, "refocus_none_hz", self.refocus_full_hz + 1, 200_000.0)
        check(self, "excitation_high_hz", self.excitation_low_hz + 1, 200_000.0)


@dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """Inversion of a power mel to a waveform without a carrier."""

    n_power_updates: int = within(10, 1, 1000)
    """Number of multiplicative updates from mel bands to bins."""
    n_iterations: int = within(12, 0, 1000)
    """Number of fast Griffin-Lim steps after the phase-gradient start (8 fast, 32 best)."""
    momentum: float = within(0.99, 0.0, 2.0)
    chunk_frames: int = within(1024, 16, 1 << 20)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """Configuration of a transfer at full strength.

    The strength belongs to the rendering and is not part of it.
    """

    start: Start = "carrier"
    """Start of the optimisation. ``carrier`` keeps the ambience's own phases; the others start
    from a mel alone, and the phase is retrieved afterwards."""
    content_layers: tuple[str, ...] = ("input",)
    style_layers: tuple[str, ...] = ("conv1",)
    content_weight: float = within(5.0, 0.0, 1e6)
    style_weight: float = within(3.0, 0.0, 1e6)
    n_iterations: int = within(0, 0, 10_000)
    """Steps of the classifier's descent on the mel. 0: no network is used."""
    learning_rate: float = within(0.18, 1e-6, 10.0)
    seed: int = within(0, 0, 2**32 - 1)
    local_norm_frames: int = within(21, 1, 10_001)
    """Moving-mean window of the style input: without it, the optimiser adds ambience that does
    not follow the music."""
    style_lags: tuple[int, ...] = (1, 2, 4, 8)
    deviation_floor: float = within(0.3, 0.0, 1.0)
    """Whitening floor, as a share of the mean deviation."""
    max_gain_db: float = within(20.0, 0.0, 120.0)
    """Bound of the mel gain that is applied to the carrier's spectrum."""
    wet: float = within(
        1.0,
        0.0,
        1.0,
        title="Wet",
        help="Share of the transfer in the result, 0 (the music itself) to 1 (the transfer alone)",
    )
    """Share of the transfer in the result; the rest is the music, unchanged, beneath it."""
    window_s: float = within(60.0, 10.0, 1800.0)
    """Longer music is rendered in windows of this length, to bound memory."""
    window_overlap_s: float = within(2.0, 0.1, 450.0)
    carrier: CarrierConfig = field(default_factory=CarrierConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    """Descent without a network; a configuration that takes steps with the network skips it."""
    inversion: InversionConfig = field(default_factory=InversionConfig)

    def __post_init__(self) -> None:
        check_ranges(self)
        check_choice(self, "start", get_args(Start))
        if len(set(self.style_lags)) < len(self.style_lags):
            raise ConfigError(f"TransferConfig.style_lags = {self.style_lags!r} repeats a lag")
        if self.local_norm_frames % 2 == 0:
            raise ConfigError(
                f"TransferConfig.local_norm_frames = {self.local_norm_frames} is even; a centred "
                "window needs an odd length"
            )
        for lag in self.style_lags:
            if isinstance(lag, bool) or not isinstance(lag, int) or lag < 1:
                raise ConfigError(
                    f"TransferConfig.style_lags = {self.style_lags!r} contains a lag that "
                    "is not a whole number of 1 or more"
                )
        check(self, "window_overlap_s", 0.1, self.window_s / 4)
        if not self.style_layers or not self.content_layers:
            raise ConfigError("content_layers and style_layers each need at least one layer")
        if self.content_weight + self.style_weight <= 0:
            raise ConfigError("content_weight and style_weight are both 0; give one a value")

    @property
    def uses_network(self) -> bool:
        """Whether the transfer needs the classifier, and TensorFlow."""
        return self.n_iterations > 0 or self.start != "carrier"


DEFAULT_PRESET = "real"

_UNREFINED = RefineConfig(n_steps=0)

PRESETS: dict[str, TransferConfig] = {
    DEFAULT_PRESET: TransferConfig(),
    "closed": TransferConfig(refine=_UNREFINED),
    "classifier": TransferConfig(refine=_UNREFINED, n_iterations=8),
    "mel": TransferConfig(
        start="music",
        refine=_UNREFINED,
        content_weight=0.75,
        n_iterations=30,
        learning_rate=0.25,
    ),
    "original": TransferConfig(
        start="music",
        refine=_UNREFINED,
        content_layers=("input", "conv1"),
        style_layers=("conv2",),
        content_weight=50.0,
        style_weight=10.0,
        n_iterations=100,
    ),
}

PRESET_HELP = {
    "real": "the best sound; uses no network",
    "closed": "faster: the carrier without the descent that refines it",
    "classifier": "the genre classifier's layers decide what is content and what is style",
    "mel": "the classifier on the music's own mel, without a carrier: close to the music",
    "original": "weights and steps of the project that AM-NST grew from: for comparison",
}
"""What each preset is for, in a line."""

CONTROLS = ("excitation", "timbre", "grain", "attack", "swell", "wet")
"""Fields of `TransferConfig` and its `CarrierConfig` that a row, a form or an option can set."""
CARRIER_FIELDS = frozenset(each.name for each in dataclasses.fields(CarrierConfig))


def preset(name: str, **overrides: object) -> TransferConfig:
    """Return the named preset with some fields replaced, of it or of its `CarrierConfig`.

    Raises
    ------
    ConfigError
        The name is not in `PRESETS`, or a value is outside its range.
    """
    if name not in PRESETS:
        rule = f"is not one of {', '.join(PRESETS)}"
        raise ConfigError(f"preset {name!r} {rule}", rule=rule)
    found = PRESETS[name]
    of_carrier = {key: overrides.pop(key) for key in CARRIER_FIELDS & overrides.keys()}
    if of_carrier:
        overrides["carrier"] = dataclasses.replace(found.carrier, **of_carrier)  # type: ignore[arg-type]  # checked by the dataclass
    return dataclasses.replace(found, **overrides)  # type: ignore[arg-type]


def controls(config: TransferConfig) -> dict[str, float]:
    """Return the values of `CONTROLS`."""
    return {
        name: getattr(config.carrier if name in CARRIER_FIELDS else config, name)
        for name in CONTROLS
    }
