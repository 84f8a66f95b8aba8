"""Configuration of analysis, input limits and output files.

The dataclasses are frozen and check their values when they are created. They are also the
flow parameters, and their canonical JSON is part of every cache key.
"""

from dataclasses import dataclass, field
from typing import Literal

from nst_core.config.ranges import check, check_choice, check_hop, check_ranges, within
from nst_core.config.rates import kept_rate
from nst_core.errors import ConfigError

AudioFormat = Literal["wav", "flac", "mp3", "ogg", "opus"]
Subtype = Literal["PCM_16", "PCM_24", "PCM_32", "FLOAT", "MPEG_LAYER_III", "VORBIS", "OPUS"]

LEVEL = 0.1
"""Root mean square (full scale is 1) to which sounds are scaled for analysis and training."""


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """The power mel-spectrogram that all stages share."""

    sr: int = within(22_050, 8_000, 96_000)
    n_fft: int = within(1024, 64, 65_536)
    hop_length: int = within(256, 1, 32_768)
    n_mels: int = within(384, 1, 32_769)

    def __post_init__(self) -> None:
        check_ranges(self)
        check_hop(self, "n_fft", "hop_length")
        check(self, "n_mels", 1, self.n_fft // 2 + 1)


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """Limits of an audio file; the loader refuses files beyond them."""

    min_duration_s: float = within(0.25, 0.0, 60.0)
    max_duration_s: float = within(1800.0, 0.0, 1e6)
    max_ambience_s: float = within(300.0, 0.0, 1e6)
    """Only this much of an ambience is used: more adds nothing to a texture, and hours of it
    would cost memory and time for any music."""
    max_bytes: int = within(2 << 30, 1, 1 << 50)
    min_sr: int = within(8_000, 1, 1_000_000)
    max_sr: int = within(384_000, 1, 10_000_000)
    max_channels: int = within(8, 1, 1024)
    max_abs: float = within(1e3, 1.0, 1e9)
    """A sample beyond this (full scale is 1) means that the file is damaged."""
    silence_rms: float = within(1e-5, 0.0, 1.0)
    decoder_patience_s: float = within(60.0, 0.1, 86_400.0)
    """A decoder that returns no audio for this long counts as hanging."""
    max_decoder_bytes: int = within(1 << 30, 1 << 26, 1 << 40)
    """Address space that a decoder may use for a file, in addition to its own program."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check(self, "max_duration_s", self.min_duration_s, 1e6)
        check(self, "max_ambience_s", self.min_duration_s, 1e6)
        check(self, "max_sr", self.min_sr, 10_000_000)


SUBTYPES: dict[AudioFormat, tuple[Subtype, ...]] = {
    "wav": ("PCM_24", "PCM_16", "PCM_32", "FLOAT"),
    "flac": ("PCM_24", "PCM_16"),
    "mp3": ("MPEG_LAYER_III",),
    "ogg": ("VORBIS",),
    "opus": ("OPUS",),
}
"""libsndfile subtypes of each format; the first is the default."""

LOSSY: tuple[AudioFormat, ...] = ("mp3", "ogg", "opus")
"""Formats whose decoded samples differ from those that were encoded."""


def format_of(output: str) -> AudioFormat:
    """Return the format that the name of a file asks for; raise ConfigError for another suffix."""
    suffix = output.rpartition(".")[2].lower()
    for each in SUBTYPES:
        if suffix == each:
            return each
    raise ConfigError(f"output {output!r} must end in .{', .'.join(SUBTYPES)}")


_RATES: dict[AudioFormat, tuple[int, ...]] = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "opus": (48_000,),
}
"""Rates of the formats that have only some. Opus also encodes lower rates, but every decoder
returns 48 kHz."""


LOWEST_LUFS, HIGHEST_LUFS = -70.0, 0.0
"""Range of the loudness that can be asked for; the lowest is the gate of the standard."""


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """Format and loudness of the output files."""

    format: AudioFormat = field(
        default="wav",
        metadata={"title": "Format", "description": "Format of the output for rows without one"},
    )
    subtype: Subtype | None = field(
        default=None,
        metadata={
            "title": "Subtype",
            "description": "wav: PCM_24 (the default), PCM_16, PCM_32 or FLOAT; flac: PCM_24 (the "
            "default) or PCM_16; mp3, ogg and opus have one each; None: the format's default",
        },
    )
    """One of `SUBTYPES`, or None for the default of the format."""
    sample_rate: int | None = within(
        None,
        8_000,
        192_000,
        title="Sample rate",
        help="Sample rate of the audio in Hz, 8000 to 192000; by default that of the music, at "
        "most 48000. Opus is always 48000, MP3 gets its nearest rate",
    )
    loudness_lufs: float | None = within(
        None,
        LOWEST_LUFS,
        HIGHEST_LUFS,
        title="Loudness",
        help="Integrated loudness of the audio in LUFS, -70 to 0; by default that of the music",
    )
    """Integrated loudness (ITU-R BS.1770-4)."""
    max_true_peak_dbtp: float = within(
        -1.0,
        -20.0,
        0.0,
        title="Highest true peak",
        help="True peak in dBTP, -20 to 0; a limiter reduces higher peaks",
    )
    """True peak of the decoded file (ITU-R BS.1770-5, annex 2)."""

    def __post_init__(self) -> None:
        check_choice(self, "format", tuple(SUBTYPES))
        if self.subtype is not None:
            check_choice(self, "subtype", SUBTYPES[self.format])
        check_ranges(self)

    def file_sr(self, music_sr: int) -> int:
        """Return the sample rate of a file, in Hz.

        Without a `sample_rate` it is the music's. Music above 48 kHz gets 44.1 or 48 kHz, whichever
        divides its rate. MP3 and Opus, which have few rates, get their nearest.

        Parameters
        ----------
        music_sr
            Sample rate of the music's own file, in Hz.
        """
        wanted = self.sample_rate or kept_rate(music_sr)
        if self.format not in _RATES:
            return wanted
        return min(_RATES[self.format], key=lambda sr: abs(sr - kept_rate(wanted)))
