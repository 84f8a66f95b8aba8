"""Peak-safe, repeatable writing of sound files: equal samples give equal bytes.

libsndfile stamps the time into float WAV files and a random serial number into Ogg pages;
both are replaced here.
"""

import math
import struct
import zlib
from io import FileIO
from pathlib import Path

import numpy as np
import soundfile as sf

from nst_core import containers
from nst_core.config import SUBTYPES, AudioFormat, OutputConfig, Subtype
from nst_core.errors import SignalError
from nst_core.levels import Waveform, finite_peak
from nst_core.spool import Sliceable, write_all

_BLOCK = 1 << 16
_MAX_ENCODINGS = 6
_OGG_SERIAL = b"nst\0"
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write_audio(
    path: str | Path,
    y: Sliceable,
    sr: int,
    *,
    format: AudioFormat,  # noqa: A002  # the manifest's word
    subtype: Subtype | None = None,
    max_peak: float = OutputConfig.max_peak,
) -> float:
    """Write WAV, FLAC or OGG (Vorbis); the same array always gives the same bytes.

    A signal whose peak is over `max_peak` is turned down as a whole, never clipped. Vorbis
    overshoots, so an OGG is decoded and turned down until what a listener gets keeps to it.
    The file is written in place: callers who need it to appear whole give a temporary path. It
    is gone where it cannot be written.

    Parameters
    ----------
    path
        The file to make; its name decides nothing.
    y : shape (n_samples,) or (n_samples, n_channels), full scale 1
    sr
        Hz.
    subtype
        From `nst_core.config.SUBTYPES`; default: the format's first.

    Returns
    -------
    float
        The gain that was applied, at most 1.

    Raises
    ------
    SignalError
        For NaN, an empty array, a wrong shape, or a rate the encoder refuses.
    ConfigError
        For an unknown format, or a subtype that is none of its own.
    """
    subtype = OutputConfig(format=format, subtype=subtype).subtype or SUBTYPES[format][0]
    peak = finite_peak(y)
    gain = min(1.0, max_peak / peak) if peak > 0 else 1.0
    with Path(path).open("w+b", buffering=0) as file:  # a full disk shows in the write itself
        try:
            return _encode_below(max_peak, file, y, gain, sr, format, subtype)
        except BaseException:
            Path(path).unlink()
            raise


def _encode_below(
    max_peak: float, file: FileIO, y: Sliceable, gain: float, sr: int, kind: str, subtype: str
) -> float:
    """Turn down until a listener's peak keeps to the limit; the gain."""
    for _ in range(_MAX_ENCODINGS):
        _encode(file, y, gain, sr, kind, subtype)
        heard = _decoded_peak(file) if kind == "ogg" else 0.0
        if heard <= max_peak:
            return gain
        gain *= 0.998 * max_peak / heard
    raise SignalError(f"no gain brings the encoded peak below {max_peak:g}; write WAV instead")


class _Nameless:
    """A file for libsndfile, which is to make nothing of its name.

    It would make nothing of a write that fails either: `failure` tells of that afterwards.
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


def _encode(file: FileIO, y: Sliceable, gain: float, sr: int, kind: str, subtype: str) -> None:
    file.seek(0)
    file.truncate()
    nameless = _Nameless(file)
    channels = math.prod(y.shape[1:])
    try:
        with sf.SoundFile(nameless, "w", sr, channels, subtype, format=kind.upper()) as sound:
            # libsndfile overflows its stack on a Vorbis write of many minutes in one call.
            for start in range(0, len(y), _BLOCK):
                block = (y[start : start + _BLOCK] * gain).astype(np.float32, copy=False)
                sound.write(_rounded(block, subtype))
    except sf.LibsndfileError as error:
        what = f"{sr} Hz, {channels} channels"
        refusal = SignalError(f"the {kind} encoder refuses {what} ({error.error_string})")
        raise nameless.failure or refusal from None
    if nameless.failure:
        raise nameless.failure
    if kind == "ogg":
        _fix_serial(file)
    elif kind == "wav":
        _zero_timestamp(file)


def _rounded(y: Waveform, subtype: str) -> Waveform:
    # libsndfile cuts the lower bits off for WAV: a bias of half a step, and error twice as big.
    n_bits = {"PCM_16": 15, "PCM_24": 23}.get(subtype)
    return y if n_bits is None else np.rint(y * np.float32(2**n_bits)) / np.float32(2**n_bits)


def _decoded_peak(file: FileIO) -> float:
    file.seek(0)
    with sf.SoundFile(_Nameless(file)) as sound:
        return max(float(np.max(np.abs(block))) for block in sound.blocks(_BLOCK, dtype="float32"))


def _zero_timestamp(wav: FileIO) -> None:
    """Zero the time of writing in the PEAK chunk that float WAV files carry."""
    for start in [c.start for c in containers.iter_chunks(wav) if c.name == b"PEAK"]:
        wav.seek(start + 4)
        write_all(wav, bytes(4))


def _fix_serial(ogg: FileIO) -> None:
    """Give every page of a single-stream Ogg file the same serial number and a new checksum.

    References
    ----------
    RFC 3533, section 6: serial at byte 14 of a page, checksum at 22, segment table at 26.
    """
    at = 0
    ogg.seek(at)
    while header := ogg.read(27):
        segments = ogg.read(header[26])
        unsigned = header[:14] + _OGG_SERIAL + header[18:22] + bytes(4)
        page = bytearray(unsigned + header[26:] + segments + ogg.read(sum(segments)))
        page[22:26] = struct.pack("<I", _ogg_checksum(page))
        ogg.seek(at)
        write_all(ogg, page)
        at += len(page)


def _ogg_checksum(page: bytes | bytearray) -> int:
    # Ogg's CRC-32 has zlib's polynomial with the bits the other way round, no initial
    # value and no final inversion: mirrored in and out, zlib computes it at full speed.
    mirrored = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2)
