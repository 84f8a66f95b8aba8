"""Peak-safe, repeatable writing of sound files: equal samples give equal bytes.

libsndfile stamps the time into float WAV files and a random serial number into Ogg pages;
both are replaced here.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile as sf

from nst_core import containers
from nst_core.config import SUBTYPES, AudioFormat, OutputConfig, Subtype
from nst_core.errors import SignalError
from nst_core.levels import Waveform, finite_peak

_BLOCK = 1 << 16
_MAX_ENCODINGS = 6
_OGG_SERIAL = b"nst\0"
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write_audio(
    path: str | Path,
    y: Waveform,
    sr: int,
    *,
    format: AudioFormat,  # noqa: A002  # the manifest's word
    subtype: Subtype | None = None,
    max_peak: float = OutputConfig.max_peak,
) -> float:
    """Write WAV, FLAC or OGG (Vorbis); the same array always gives the same bytes.

    A signal whose peak is over `max_peak` is turned down as a whole, never clipped. Vorbis
    overshoots, so an OGG is decoded and turned down until what a listener gets keeps to it.
    The file is written in place: callers who need it to appear whole give a temporary path.

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
    for _ in range(_MAX_ENCODINGS):
        data = _encode(y, gain, sr, format, subtype)
        heard = _decoded_peak(data) if format == "ogg" else 0.0
        if heard <= max_peak:
            Path(path).write_bytes(data)
            return gain
        gain *= 0.998 * max_peak / heard
    raise SignalError(f"no gain brings the encoded peak below {max_peak:g}; write WAV instead")


def _encode(y: Waveform, gain: float, sr: int, kind: str, subtype: str) -> bytes | bytearray:
    buffer = io.BytesIO()
    channels = 1 if y.ndim == 1 else y.shape[1]
    try:
        with sf.SoundFile(buffer, "w", sr, channels, subtype, format=kind.upper()) as sound:
            # libsndfile overflows its stack on a Vorbis write of many minutes in one call.
            for start in range(0, len(y), _BLOCK):
                block = (y[start : start + _BLOCK] * gain).astype(np.float32, copy=False)
                sound.write(_rounded(block, subtype))
    except sf.LibsndfileError as error:
        what = f"{sr} Hz, {channels} channels"
        raise SignalError(f"the {kind} encoder refuses {what} ({error.error_string})") from None
    data = buffer.getvalue()
    if kind == "ogg":
        return _with_fixed_serial(data)
    return _without_timestamp(data) if kind == "wav" else data


def _rounded(y: Waveform, subtype: str) -> Waveform:
    # libsndfile cuts the lower bits off for WAV: a bias of half a step, and error twice as big.
    n_bits = {"PCM_16": 15, "PCM_24": 23}.get(subtype)
    return y if n_bits is None else np.rint(y * np.float32(2**n_bits)) / np.float32(2**n_bits)


def _decoded_peak(data: bytes | bytearray) -> float:
    with sf.SoundFile(io.BytesIO(data)) as sound:
        return max(float(np.max(np.abs(block))) for block in sound.blocks(_BLOCK, dtype="float32"))


def _without_timestamp(wav: bytes) -> bytes | bytearray:
    """Zero the time of writing in the PEAK chunk that float WAV files carry."""
    peaks = [c.start for c in containers.iter_chunks(io.BytesIO(wav)) if c.name == b"PEAK"]
    if not peaks:
        return wav
    fixed = bytearray(wav)
    for start in peaks:
        fixed[start + 4 : start + 8] = bytes(4)
    return fixed


def _with_fixed_serial(ogg: bytes) -> bytes:
    """Give every page of a single-stream Ogg file the same serial number and new checksums.

    References
    ----------
    RFC 3533, section 6: serial at byte 14 of a page, checksum at 22, segment table at 26.
    """
    pages = []
    at = 0
    while at < len(ogg):
        n_segments = ogg[at + 26]
        end = at + 27 + n_segments + sum(ogg[at + 27 : at + 27 + n_segments])
        unsigned = ogg[at : at + 14] + _OGG_SERIAL + ogg[at + 18 : at + 22] + bytes(4)
        page = bytearray(unsigned + ogg[at + 26 : end])
        page[22:26] = struct.pack("<I", _ogg_checksum(page))
        pages.append(page)
        at = end
    return b"".join(pages)


def _ogg_checksum(page: bytes | bytearray) -> int:
    # Ogg's CRC-32 has zlib's polynomial with the bits the other way round, no initial
    # value and no final inversion: mirrored in and out, zlib computes it at full speed.
    mirrored = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2)
