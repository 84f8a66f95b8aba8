"""Configuration of the descent on a carrier's spectrum."""

from dataclasses import dataclass

from nst_core.config.ranges import check_hop, check_ranges, within
from nst_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """Descent on the gains of a carrier's bands: grain of the ambience, onsets of the music.

    The values were chosen on real pairs, and confirmed on other recordings: see
    ``tests/benchmarks/README.md``.
    """

    n_fft: int = within(1024, 64, 65_536)
    hop_length: int = within(256, 1, 32_768)
    """A gain holds for this long."""
    n_bands: int = within(76, 8, 1024)
    style_weight: float = within(3.0, 0.0, 1e6)
    content_weight: float = within(1.0, 0.0, 1e6)
    """Of the onsets. More keeps more of them, and less grain: 3 loses what the descent gains in
    texture."""
    envelope_weight: float = within(3.0, 0.0, 1e6)
    """Of the slow envelope of every band: without it, `follow` falls by 0.04."""
    envelope_s: float = within(0.105, 0.01, 10.0)
    """Window over which this envelope is smoothed."""
    level_weight: float = within(1.0, 0.0, 1e6)
    """Of the squared log ratio of the long-term spectrum to the carrier's own."""
    gain_weight: float = within(1e-2, 0.0, 1e6)
    """Of the squared gains."""
    n_steps: int = within(10, 0, 1000)
    """Steps, each with one evaluation of the loss; 0 leaves the carrier as it is."""
    rate: float = within(0.3, 1e-6, 10.0)
    """Length of the first step of every gain, in nepers of power."""
    settled: float = within(0.08, 1e-6, 10.0)
    """Style loss up to which a carrier is left as it is; from twice this on, gains are whole."""
    slow_s: float = within(0.25, 0.01, 10.0)
    """Window of the mean that is divided out of the grain under the music's envelope."""
    own_s: float = within(0.122, 0.01, 10.0)
    """Window of the mean, taken twice, that is divided out of the grain without this envelope."""
    lags: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Of the lag products, in frames: 6 to 93 ms."""
    tails: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 3.0)
    """Edges beyond which the mean excess is compared, in deviations of the ambience."""
    window_s: float = within(60.0, 10.0, 1800.0)
    """Longer music is refined in windows of this length, to bound memory."""
    window_overlap_s: float = within(2.0, 0.1, 450.0)

    def __post_init__(self) -> None:
        check_ranges(self)
        check_hop(self, "n_fft", "hop_length")
        if 3 * self.hop_length > self.n_fft:
            raise ConfigError(
                f"RefineConfig.hop_length = {self.hop_length!r} is more than a third of "
                f"n_fft = {self.n_fft}"
            )
        for lag in self.lags:
            if isinstance(lag, bool) or not isinstance(lag, int) or lag < 1:
                raise ConfigError(
                    f"RefineConfig.lags = {self.lags!r} contains a lag that is not a whole number "
                    "of 1 or more"
                )
        for edge in self.tails:
            if not edge > 0:
                raise ConfigError(
                    f"RefineConfig.tails = {self.tails!r} contains an edge of 0 or less"
                )
        if self.window_overlap_s > self.window_s / 4:
            raise ConfigError(
                f"RefineConfig.window_overlap_s = {self.window_overlap_s!r} is more than a quarter "
                f"of window_s = {self.window_s:g}"
            )
