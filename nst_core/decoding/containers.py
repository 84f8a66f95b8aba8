"""Declared length of a sound file, read from its header before any sample is decoded.

libsndfile silently corrects a wrong length, and FFmpeg uses the first of two lengths. So this
module reads the declared lengths itself.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, NoReturn

from nst_core.decoding.file_types import TAGS
from nst_core.errors import AudioError

_MAX_CHUNKS = 4096
_PCM = 1
_PCM_BITS = (8, 16, 24, 32)
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"

# A streaming writer that cannot seek back leaves a value near the maximum (sox: 0x7ffff000).
_UNKNOWN = (range(0x7FFF_F000, 0x8000_1000), range(0xFFFF_F000, 0x1_0000_0000))
_UNKNOWN_FROM = 1 << 62

# Some writers count the header or a pad byte as samples: at most 6 ms, so not a broken copy.
SLACK_BYTES = 256


class Chunk(NamedTuple):
    """RIFF or IFF chunk: its name, the start of its body, its declared number of bytes."""

    name: bytes
    start: int
    n_bytes: int


class WavFormat(NamedTuple):
    """Sample format that a WAV file declares."""

    tag: int
    n_channels: int
    frame_bytes: int
    n_bits: int

    @property
    def is_odd_pcm(self) -> bool:
        """Whether this is PCM of a width that libsndfile would decode to noise."""
        return self.tag == _PCM and self.n_bits not in _PCM_BITS


class Heard(NamedTuple):
    """Number of decoded frames to drop at the start, and number of audible frames after them."""

    n_before: int
    n_heard: int
    n_per_packet: int = 0
    """Frames that may be missing, because some writers count the last packet as full."""


class Declared(NamedTuple):
    """Facts that the header of a WAV or another chunked file declares; for others, none."""

    wav: WavFormat | None = None
    n_bytes: int | None = None
    """Bytes of samples; None if the header does not declare them."""
    n_held: int = 0
    """Bytes from the first sample to the end of the file."""
    heard: Heard | None = None
    """Audible frames of a CAF file with packets of several frames."""

    @property
    def is_left_open(self) -> bool:
        """Return whether the declared length is 0 but samples follow."""
        return self.n_bytes == 0 and self.n_held > SLACK_BYTES


def iter_chunks(fh: BinaryIO) -> Iterator[Chunk]:
    """Yield the chunks of a RIFF, RIFX, RF64, BW64 or AIFF file; nothing for other files.

    Stops at the end of the file, and after 4096 chunks.
    """
    fh.seek(0)
    magic = fh.read(12)[:4]
    if magic not in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
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


def read_declared(fh: BinaryIO, path: str) -> Declared:
    """Compare what a WAV, AIFF, AU, W64 or CAF header declares with the file's real length.

    Raises
    ------
    AudioError
        ``truncated``: the header declares more bytes of samples than the file holds.
        ``bad_length``: the file holds samples that the header does not declare.
        ``bad_rate``: the WAV header has no usable rate. ``unsupported_format``: PCM of a
        width that no decoder reads correctly.
    """
    n_file = fh.seek(0, io.SEEK_END)
    fh.seek(0)
    head = fh.read(24)
    if head[:4] in (b".snd", b"dns.") and len(head) >= 12:
        return _declared_au(head, n_file, path)
    if head.startswith(_W64_RIFF):
        return _declared_w64(fh, n_file, path)
    if head.startswith(b"caff"):
        return _declared_caf(fh, n_file, path)
    return _declared_chunks(fh, n_file, path)


def _declared_chunks(fh: BinaryIO, n_file: int, path: str) -> Declared:
    found: Declared | None = None
    wav = None
    long_size: int | None = None
    end = 0
    for chunk in iter_chunks(fh):
        if found and not _continues(chunk, n_file):
            break
        if chunk.name == b"fmt ":
            fh.seek(chunk.start)
            wav = _wav_format(fh.read(16), path) or wav
            found = found._replace(wav=wav) if found else None
        elif chunk.name == b"ds64":
            fh.seek(chunk.start + 8)
            long_size = int.from_bytes(fh.read(8), "little")
        elif chunk.name in (b"data", b"SSND"):
            if found:
                _refuse_length("has several chunks of samples", path)
            n_bytes = chunk.n_bytes
            if n_bytes == 0xFFFF_FFFF and long_size is not None:
                n_bytes = long_size
            found = _checked(n_bytes, n_file - chunk.start, path, wav)
            if not found.n_bytes:
                return found._replace(n_held=0) if _is_empty(fh, chunk, n_file) else found
        end = chunk.start + chunk.n_bytes
    if found and found.n_bytes:
        _check_rest(fh, end, n_file, found.n_bytes, path)
    return found or Declared()


def _continues(chunk: Chunk, n_file: int) -> bool:
    is_name = all(0x20 <= byte < 0x7F for byte in chunk.name)
    return is_name and chunk.start + chunk.n_bytes <= n_file + SLACK_BYTES


def _is_empty(fh: BinaryIO, chunk: Chunk, n_file: int) -> bool:
    """Return whether a chunk that declares no bytes is really empty: another chunk follows."""
    fh.seek(chunk.start)
    head = fh.read(8)
    if chunk.n_bytes or len(head) < 8:
        return False
    name, n_bytes = struct.unpack("<4sI", head)
    return _continues(Chunk(name, chunk.start + 8, n_bytes), n_file)


def _check_rest(fh: BinaryIO, end: int, n_file: int, n_declared: int, path: str) -> None:
    """Refuse samples after the last chunk: a recorder died before it wrote the length."""
    fh.seek(end)
    if n_file - end <= SLACK_BYTES or fh.read(64).lstrip(b"\0").startswith(TAGS):
        return
    fh.seek(end)
    if not any(block.strip(b"\0") for block in iter(lambda: fh.read(1 << 20), b"")):
        return
    found = f"its header declares {n_declared} bytes of samples and {n_file - end} more follow"
    _refuse_length(found, path)


def _refuse_length(found: str, path: str) -> NoReturn:
    way_out = "rewrite it with `ffmpeg -ignore_length 1 -i IN OUT`, or cut off what is not sound"
    raise AudioError("bad_length", path, f"{found}; {way_out}")


def _declared_au(head: bytes, n_file: int, path: str) -> Declared:
    order = ">" if head[:4] == b".snd" else "<"
    start, n_declared = struct.unpack(order + "II", head[4:12])
    found = _checked(n_declared, n_file - start, path)
    if found.n_bytes and found.n_held > found.n_bytes + SLACK_BYTES:
        more = found.n_held - found.n_bytes
        _refuse_length(f"its header declares {n_declared} bytes and {more} more follow", path)
    return found


def _declared_w64(fh: BinaryIO, n_file: int, path: str) -> Declared:
    at = 40
    for _ in range(_MAX_CHUNKS):
        fh.seek(min(at, n_file))  # a damaged length may be larger than any offset
        head = fh.read(24)
        if len(head) < 24:
            break
        n_bytes = int.from_bytes(head[16:], "little")
        if head[:16] == _W64_DATA:
            return _checked(n_bytes - 24, n_file - at - 24, path)
        at += max(24, (n_bytes + 7) & ~7)
    return Declared()


def _declared_caf(fh: BinaryIO, n_file: int, path: str) -> Declared:
    found = Declared()
    n_per_packet = 0
    at = 8
    for _ in range(_MAX_CHUNKS):
        fh.seek(min(at, n_file))  # a damaged length may be larger than any offset
        head = fh.read(12)
        if len(head) < 12:
            break
        name, n_bytes = struct.unpack(">4sq", head)
        if name == b"desc":
            n_per_packet = int.from_bytes(fh.read(24)[20:], "big")
        elif name == b"pakt":
            packets = fh.read(24)
            if len(packets) == 24:
                _, n_heard, n_before, _ = struct.unpack(">qqii", packets)
                heard = Heard(n_before, n_heard, n_per_packet) if n_heard > 0 else None
                found = found._replace(heard=heard)
        elif name == b"data":
            data = _checked(n_bytes, n_file - at - 12, path)
            found = data._replace(heard=found.heard)
        if n_bytes < 0:
            break
        at += 12 + n_bytes
    return found


def _wav_format(body: bytes, path: str) -> WavFormat | None:
    if len(body) < 16:
        return None
    tag, n_channels, rate, _, frame_bytes, n_bits = struct.unpack("<HHIIHH", body)
    if not 0 < rate < 2**31:
        reason = f"its header declares a sample rate of {rate} Hz; convert it first"
        raise AudioError("bad_rate", path, reason)
    wav = WavFormat(tag, n_channels, frame_bytes, n_bits)
    whole_bytes = frame_bytes == n_channels * ((n_bits + 7) // 8)
    if wav.is_odd_pcm and not (8 < n_bits < 32 and whole_bytes):
        widths = ", ".join(map(str, _PCM_BITS))
        reason = f"is {n_bits}-bit PCM in frames of {frame_bytes} bytes, only {widths} are read"
        raise AudioError("unsupported_format", path, f"{reason}; convert it to 16 bits first")
    return wav


def _checked(n_declared: int, n_held: int, path: str, wav: WavFormat | None = None) -> Declared:
    is_open = n_declared < 0 or n_declared >= _UNKNOWN_FROM
    if is_open or any(n_declared in figures for figures in _UNKNOWN):
        return Declared(wav, None, n_held)
    if n_declared > n_held + SLACK_BYTES:
        raise AudioError(
            "truncated",
            path,
            f"its header declares {n_declared} bytes of samples and the file holds "
            f"{max(n_held, 0)}: an incomplete download or copy; fetch it again",
        )
    return Declared(wav, n_declared, n_held)
