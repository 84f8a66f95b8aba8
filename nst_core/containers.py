"""What a sound file is and declares, looked at before a sample of it is decoded.

libsndfile corrects a wrong length in silence, so the declared one is read here.
"""

import io
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import soundfile as sf

from nst_core.config import AudioLimits
from nst_core.errors import AudioError

_FOREIGN = (
    (4, b"ftyp", "MP4/M4A (AAC or ALAC)"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA/ASF"),
    (0, b"\xff\xf1", "raw AAC (ADTS)"),
    (0, b"\xff\xf9", "raw AAC (ADTS)"),
    (0, b"\x1aE\xdf\xa3", "Matroska/WebM"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MThd", "MIDI"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)
_READABLE = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "FLAC", "OGG", "MP3")
_WAY_OUT = "convert it with ffmpeg to WAV, AIFF, AU, FLAC, OGG or MP3, or name another file"
_MAX_CHUNKS = 4096
_PCM_BITS = (8, 16, 24, 32)

# A streaming writer that cannot go back leaves 0 or a figure up here (sox: 0x7ffff000).
# A real chunk of that size would be over the loader's byte limit anyway.
_UNKNOWN_FROM = 0x7FFF_F000

# Some writers count the header or a pad byte as samples: 6 ms at most, not a broken copy.
_SLACK_BYTES = 256


class Chunk(NamedTuple):
    """One RIFF or IFF chunk: its name, where its body starts, its declared bytes."""

    name: bytes
    start: int
    n_bytes: int


def open_regular(path: str | Path, limits: AudioLimits) -> BinaryIO:
    """Open a regular, non-empty file within the byte limit.

    Raises
    ------
    AudioError
        ``not_found``, ``permission``, ``not_a_file``, ``empty_file``, ``too_big``.
    """
    # Before open(): a FIFO would block it for ever.
    try:
        facts = Path(path).stat()
    except PermissionError:
        raise AudioError("permission", path, "may not be read by this user") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise AudioError("not_found", path, f"no such file ({error})") from None
    if not stat.S_ISREG(facts.st_mode):
        kind = "directory" if stat.S_ISDIR(facts.st_mode) else "pipe, socket or device"
        raise AudioError("not_a_file", path, f"is a {kind}, a regular file is needed")
    if facts.st_size == 0:
        raise AudioError("empty_file", path, "is empty (0 bytes); copy it again")
    if facts.st_size > limits.max_bytes:
        size, most = facts.st_size >> 20, limits.max_bytes >> 20
        raise AudioError("too_big", path, f"{size} MiB is over the limit of {most} MiB")
    try:
        return Path(path).open("rb")
    except PermissionError:
        raise AudioError("permission", path, "may not be read by this user") from None


def open_sound(fh: BinaryIO, path: str | Path, limits: AudioLimits) -> sf.SoundFile:
    """Open the decoder on a handle, after the header has passed every check.

    Raises
    ------
    AudioError
        ``unsupported_format``, ``not_audio``, ``bad_rate``, ``channels``, ``truncated``.
    """
    head = fh.read(64)
    foreign = _foreign_format(head)
    if foreign:
        reason = f"is {foreign}, which is not read here; convert it to WAV or FLAC first"
        raise AudioError("unsupported_format", path, reason)
    _check_declared(fh, path)
    fh.seek(0)
    try:
        sound = sf.SoundFile(fh)
    except (RuntimeError, TypeError, ValueError) as error:
        detail = str(getattr(error, "error_string", error)).rstrip(".")
        code = "channels" if "channels" in detail else "not_audio"
        reason = f"is not a readable audio file ({detail}, first bytes {head[:12]!r})"
        raise AudioError(code, path, f"{reason}; {_WAY_OUT}") from None
    try:
        _check_header(sound, path, limits)
    except AudioError:
        sound.close()
        raise
    return sound


def _check_header(sound: sf.SoundFile, path: str | Path, limits: AudioLimits) -> None:
    if sound.format not in _READABLE:
        reason = f"is {sound.format}, only {', '.join(_READABLE)} are read; convert it first"
        raise AudioError("unsupported_format", path, reason)
    if not limits.min_sr <= sound.samplerate <= limits.max_sr:
        rule = f"is outside {limits.min_sr}-{limits.max_sr} Hz"
        raise AudioError("bad_rate", path, f"its sample rate of {sound.samplerate} Hz {rule}")
    if not 1 <= sound.channels <= limits.max_channels:
        rule = f"at most {limits.max_channels} are read"
        raise AudioError("channels", path, f"has {sound.channels} channels, {rule}")


def _foreign_format(head: bytes) -> str | None:
    """Name a well-known format that libsndfile cannot read, or None."""
    for offset, magic, name in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return name
    return None


def iter_chunks(fh: BinaryIO) -> Iterator[Chunk]:
    """Walk the chunks of a RIFF, RIFX, RF64 or AIFF file; nothing for any other.

    Stops at the end of the file, and after 4096 chunks.
    """
    fh.seek(0)
    magic = fh.read(12)[:4]
    if magic not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return
    order = ">" if magic in (b"RIFX", b"FORM") else "<"
    at = 12
    for _ in range(_MAX_CHUNKS):
        fh.seek(at)
        header = fh.read(8)
        if len(header) < 8:
            return
        name, n_bytes = struct.unpack(order + "4sI", header)
        yield Chunk(name, at + 8, n_bytes)
        at += 8 + n_bytes + n_bytes % 2


def _check_declared(fh: BinaryIO, path: str | Path) -> None:
    """Compare what a WAV, AIFF or AU header declares with the file's real length.

    Raises
    ------
    AudioError
        ``truncated``: the header declares more bytes of samples than the file holds.
        ``bad_rate``: a WAV header with no usable rate. ``unsupported_format``: PCM of a
        width that libsndfile would decode to noise.
    """
    n_file = fh.seek(0, io.SEEK_END)
    long_size = 0
    for chunk in iter_chunks(fh):
        if chunk.name == b"fmt ":
            fh.seek(chunk.start)
            _check_wav_format(fh.read(16), path)
        elif chunk.name == b"ds64":
            fh.seek(chunk.start + 8)
            long_size = int.from_bytes(fh.read(8), "little")
        elif chunk.name in (b"data", b"SSND"):
            n_declared = long_size if chunk.n_bytes == 0xFFFF_FFFF else chunk.n_bytes
            _check_length(n_declared, n_file - chunk.start, path)
            return
    fh.seek(0)
    head = fh.read(12)
    if head[:4] in (b".snd", b"dns.") and len(head) == 12:
        order = ">" if head[:4] == b".snd" else "<"
        start, n_declared = struct.unpack(order + "II", head[4:])
        _check_length(n_declared, n_file - start, path)


def _check_wav_format(body: bytes, path: str | Path) -> None:
    if len(body) < 16:
        return
    tag, _, rate, _, _, n_bits = struct.unpack("<HHIIHH", body)
    if not 0 < rate < 2**31:
        raise AudioError("bad_rate", path, f"its header declares a sample rate of {rate} Hz")
    if tag == 1 and n_bits not in _PCM_BITS:
        widths = ", ".join(map(str, _PCM_BITS))
        raise AudioError(
            "unsupported_format",
            path,
            f"is {n_bits}-bit PCM, only {widths} are read; convert it to 16 bits first",
        )


def _check_length(n_declared: int, n_real: int, path: str | Path) -> None:
    if n_declared < _UNKNOWN_FROM and n_declared > n_real + _SLACK_BYTES:
        raise AudioError(
            "truncated",
            path,
            f"its header declares {n_declared} bytes of samples and the file holds "
            f"{max(n_real, 0)}: an incomplete download or copy; fetch it again",
        )
