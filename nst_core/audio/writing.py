"""Reproducible writing of sound files: equal samples give equal bytes.

libsndfile writes the time into float WAV files and a random serial number into Ogg pages; this
module replaces both.

MP3 and Opus delay a sound. Their headers say by how much, so decoders that follow them (FFmpeg,
libsndfile, browsers) return exactly as many samples as were written.
"""

import math
import struct
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from nst_core.arrays import Waveform
from nst_core.audio.loudness import finite_peak
from nst_core.audio.tagging import sndfile_tags, write_tags
from nst_core.config import LOSSY, SUBTYPES, AudioFormat, OutputConfig, Subtype
from nst_core.decoding import containers
from nst_core.decoding.ogg import page_checksum
from nst_core.decoding.tags import NO_TAGS, Tags
from nst_core.errors import SignalError
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable, write_all

_MAX_ENCODINGS = 6
_OGG_SERIAL = b"nst\0"
_CONTAINERS: dict[AudioFormat, str] = {"opus": "OGG"}
"""libsndfile's names of containers that differ from the format's."""
_QUALITY: dict[AudioFormat, dict[str, Any]] = {
    "mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.0},
    "ogg": {"compression_level": 0.4},
    "opus": {"compression_level": 0.64},
}
"""Settings of the encoders: LAME's best variable bit rate (V0, up to 270 kbit/s in stereo), and
about 190 kbit/s for Vorbis (its quality 6) and Opus. Ambiences are noisy, and noise is what
encoders blur first."""


def write_audio(
    path: str | Path,
    y: Sliceable,
    sr: int,
    *,
    format: AudioFormat,  # noqa: A002  # the manifest's word
    subtype: Subtype | None = None,
    max_peak: float = 0.99,
) -> float:
    """Write a sound file, and turn down a signal that is too loud.

    A signal whose highest sample is above `max_peak` is turned down as a whole, never clipped.
    MP3, Vorbis and Opus overshoot, so these files are decoded and turned down until the decoded
    peak is low enough.
    `nst_core.audio.mastering` limits the peaks instead, and keeps the loudness.

    Parameters
    ----------
    path, y, sr, format, subtype
        As in `encode`.
    max_peak
        Full scale is 1.

    Returns
    -------
    float
        The gain that was applied, at most 1.

    Raises
    ------
    SignalError, ConfigError
        As in `encode`.
    """
    peak = finite_peak(y)
    gain = min(1.0, max_peak / peak) if peak > 0 else 1.0
    for _ in range(_MAX_ENCODINGS):
        encode(path, y, sr, format=format, subtype=subtype, gain=gain)
        heard = max(map(finite_peak, decoded(path))) if format in LOSSY else 0.0
        if heard <= max_peak:
            return gain
        gain *= 0.998 * max_peak / heard
    Path(path).unlink()
    raise SignalError(f"no gain brings the encoded peak below {max_peak:g}; write WAV instead")


def encode(
    path: str | Path,
    y: Sliceable,
    sr: int,
    *,
    format: AudioFormat,  # noqa: A002  # the manifest's word
    subtype: Subtype | None = None,
    gain: float = 1.0,
    tags: Tags = NO_TAGS,
) -> None:
    """Write WAV, FLAC, MP3, OGG (Vorbis) or Opus; the same array always gives the same bytes.

    The file is written in place; use a temporary path if it must appear complete. If writing
    fails, the partial file is removed.

    Parameters
    ----------
    path
        File to write; its name has no influence on the format.
    y : shape (n_samples,) or (n_samples, n_channels), full scale 1
        Integer formats clip samples above full scale.
    sr
        Hz.
    subtype
        One of `nst_core.config.SUBTYPES`; by default the format's first.
    gain
        Gain applied to `y`.
    tags
        Tags of the file.

    Raises
    ------
    SignalError
        For NaN, an empty array, a wrong shape, or a rate that the encoder refuses.
    ConfigError
        For an unknown format, or a subtype that the format does not have.
    """
    subtype = OutputConfig(format=format, subtype=subtype).subtype or SUBTYPES[format][0]
    finite_peak(y)
    with Path(path).open(
        "w+b", buffering=0
    ) as file:  # unbuffered, so that a full disk fails in the write itself
        try:
            _encode(file, y, gain, sr, format, subtype, tags)
        except BaseException:
            Path(path).unlink()
            raise


def decoded(path: str | Path) -> Iterator[Waveform]:
    """Decode a file that `encode` wrote, and yield it in blocks."""
    with Path(path).open("rb", buffering=0) as file, sf.SoundFile(_Nameless(file)) as sound:
        yield from sound.blocks(block_sizes.SIZES.encoded_frames, dtype="float32")


class _Nameless:
    """File wrapper without a `name`, so that libsndfile does not guess a format from it.

    libsndfile also ignores failed writes; the error is kept in `failure`.
    """

    def __init__(self, file: FileIO) -> None:
        self.seek, self.tell, self.readinto = file.seek, file.tell, file.readinto
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            write_all(self._file, data)
        except OSError as error:
            self.failure = self.failure or error
        return len(data)


def _encode(
    file: FileIO,
    y: Sliceable,
    gain: float,
    sr: int,
    kind: AudioFormat,
    subtype: str,
    tags: Tags,
) -> None:
    file.seek(0)
    file.truncate()
    nameless = _Nameless(file)
    channels = math.prod(y.shape[1:])
    try:
        container = _CONTAINERS.get(kind, kind.upper())
        with sf.SoundFile(
            nameless, "w", sr, channels, subtype, format=container, **_QUALITY.get(kind, {})
        ) as sound:
            for name, text in sndfile_tags(kind, tags).items():
                setattr(sound, name, text)
            # libsndfile overflows its stack on a Vorbis write of many minutes in one call.
            n = block_sizes.SIZES.encoded_frames
            for start in range(0, len(y), n):
                block = (y[start : start + n] * gain).astype(np.float32, copy=False)
                sound.write(_rounded(block, subtype))
    except sf.LibsndfileError as error:
        what = f"{sr} Hz, {channels} channels"
        refusal = SignalError(f"the {kind} encoder refuses {what} ({error.error_string})")
        raise nameless.failure or refusal from None
    if nameless.failure:
        raise nameless.failure
    write_tags(file, kind, tags)
    if kind in ("ogg", "opus"):
        _number_pages(file)
    elif kind == "wav":
        _zero_timestamp(file)


def _rounded(y: Waveform, subtype: str) -> Waveform:
    # For WAV libsndfile truncates the lower bits: a bias of half a step, and twice the error.
    n_bits = {"PCM_16": 15, "PCM_24": 23}.get(subtype)
    return y if n_bits is None else np.rint(y * np.float32(2**n_bits)) / np.float32(2**n_bits)


def _zero_timestamp(wav: FileIO) -> None:
    """Zero the time of writing in the PEAK chunk that float WAV files carry."""
    for start in [c.start for c in containers.iter_chunks(wav) if c.name == b"PEAK"]:
        wav.seek(start + 4)
        write_all(wav, bytes(4))


def _number_pages(ogg: FileIO) -> None:
    """Give the pages of a single-stream Ogg file one serial, their numbers and new checksums.

    References
    ----------
    RFC 3533, section 6: serial at byte 14 of a page, number at 18, checksum at 22, segment
    table at 26.
    """
    at = number = 0
    ogg.seek(at)
    while header := ogg.read(27):
        segments = ogg.read(header[26])
        unsigned = header[:14] + _OGG_SERIAL + struct.pack("<I", number) + bytes(4)
        page = bytearray(unsigned + header[26:] + segments + ogg.read(sum(segments)))
        page[22:26] = struct.pack("<I", page_checksum(page))
        ogg.seek(at)
        write_all(ogg, page)
        at += len(page)
        number += 1
