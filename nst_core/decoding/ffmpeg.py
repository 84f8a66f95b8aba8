"""FFmpeg, through PyAV, decodes the formats that libsndfile lacks or reads badly.

FFmpeg skips data that it cannot decode. So its output is compared with the bytes of the file, the
end that a container declares, the granules of Ogg, and the frames that a FLAC or Xing header
declares.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from nst_core.arrays import Waveform
from nst_core.decoding.containers import Heard
from nst_core.decoding.coverage import Coverage
from nst_core.decoding.file_types import TAGS, WAY_OUT, known_container, start_of, tags_length
from nst_core.decoding.flac import find_streams
from nst_core.decoding.ogg import Link, find_links
from nst_core.decoding.source import Source, Stream
from nst_core.errors import AudioError
from nst_core.streaming.resampling import resampled

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,avr,caf,dsf,dts,eac3,flac,flv,iff,ircam,loas,matroska,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,nistsphere,ogg,tak,tta,voc,w64,wav,wv"
)
"""Allowed formats; none of them opens other files or addresses, as a playlist would."""
OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
"""Options with which a file of a stranger is opened."""
_BLOCK = 1 << 16
"""Number of frames that are collected before they are passed on."""
_STEPS = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31}
"""Full scale of the integer sample types."""
_DECLARING = ("mov", "matroska", "asf", "caf", "tta", "wv", "ape", "tak", "mpc8", "dsf")
"""Containers whose header states the duration; for others FFmpeg estimates it."""
_WITH_CHECKSUMS = ("ape", "flac", "tak", "tta", "wavpack")
"""Codecs that can report damage if asked to."""
_DECLARED_SLACK_S = 0.1
"""Tolerance for a last frame that is longer than its audible part."""


class _Piece(NamedTuple):
    sr: int
    y: Waveform


def open_ffmpeg(source: Source, path: str, heard: Heard | None = None) -> Stream:
    """Open the decoder.

    Parameters
    ----------
    heard
        Audible part according to the header: FFmpeg cuts off the end of ALAC in CAF twice.

    Raises
    ------
    AudioError
        ``not_audio``, ``corrupt``, ``truncated``, ``unsupported_format``.
    """
    pieces = _pieces(source, path, _links(source, path), heard)
    first = next(pieces, None)
    if first is None:
        raise AudioError("no_samples", path, "has a valid header but no samples")
    blocks = _at_first_rate(first, pieces, path)
    return Stream(first.sr, first.y.shape[1], None, blocks)


def estimated_frames(source: Source, path: str, sr: int) -> int | None:
    """Return about how many frames a file holds, without decoding it; None if unknown.

    FFmpeg computes the length of an MP3 without a header from its first bit rate, for example.
    """
    with _open(source, path, Link(0, source.n_bytes)) as container:
        duration = container.duration
    return round(duration / av.time_base * sr) if duration and duration > 0 else None


def _links(source: Source, path: str) -> list[Link]:
    head = source.read_at(0, 4096)
    if head.startswith(b"OggS") or b"OggS\0\2" in head:
        return find_links(source.open(), path)
    if start_of(source.open()).startswith(b"fLaC"):
        return find_streams(source)
    return [Link(0, source.n_bytes)]


def read_rest(
    source: Source, path: str, n_known: int, sr: int, n_channels: int
) -> Iterator[Waveform]:
    """Yield the frames after the known ones, as in concatenated FLAC files."""
    pieces = _pieces(source, path, find_streams(source))
    like = _Piece(sr, np.zeros((0, n_channels), np.float32))
    at = 0
    for block in _at_first_rate(like, pieces, path):
        at += len(block)
        if at > n_known:
            yield block[max(0, n_known - at + len(block)) :]


def _at_first_rate(first: _Piece, others: Iterator[_Piece], path: str) -> Iterator[Waveform]:
    """Resample later pieces to the rate of the first, as in a chain of Ogg files."""

    def pieces() -> Iterator[_Piece]:
        yield first
        yield from others

    for (sr, n_channels), group in groupby(pieces(), lambda piece: (piece.sr, piece.y.shape[1])):
        if n_channels != first.y.shape[1]:
            reason = f"changes from {first.y.shape[1]} to {n_channels} channels; {WAY_OUT}"
            raise AudioError("channels", path, reason)
        yield from _gathered(resampled((piece.y for piece in group), sr, first.sr))


def _gathered(parts: Iterator[Waveform]) -> Iterator[Waveform]:
    held: list[Waveform] = []
    n_held = 0
    for part in parts:
        held.append(part)
        n_held += len(part)
        if n_held >= _BLOCK:
            yield np.concatenate(held)
            held, n_held = [], 0
    if n_held:
        yield np.concatenate(held)


def _pieces(
    source: Source, path: str, links: list[Link], heard: Heard | None = None
) -> Iterator[_Piece]:
    for link in links:
        n_decoded = 0
        with _open(source, path, link) as container:
            decoded = _decoded(source, path, link, container, cut_by_hand=heard is not None)
            for piece in _cut(decoded, heard, path) if heard else decoded:
                n_decoded += len(piece.y)
                yield piece
        if n_decoded < link.n_least:
            found = f"a sound in it declares {link.n_least} frames"
            reason = f"{found}, only {n_decoded} could be decoded; fetch it again"
            raise AudioError("corrupt", path, reason)


def _cut(pieces: Iterator[_Piece], heard: Heard, path: str) -> Iterator[_Piece]:
    at = -heard.n_before
    for sr, y in pieces:
        kept = y[max(0, -at) : max(0, heard.n_heard - at)]
        at += len(y)
        if len(kept):
            yield _Piece(sr, kept)
    if at < heard.n_heard - heard.n_per_packet:
        found = f"its header declares {heard.n_heard} frames, only {max(at, 0)} could be decoded"
        raise AudioError("truncated", path, f"{found}; fetch it again")


def _open(source: Source, path: str, link: Link) -> InputContainer:
    part = source.open(link.start, link.stop)
    try:
        return av.open(part, "r", options=OPTIONS, metadata_errors="replace")
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        name = known_container(source.read_at(0, 64))
        if name:
            reason = f"is {name} but cannot be opened ({_reason(error)})"
            way_out = "an incomplete download or copy, or protected; fetch it again"
            raise AudioError("corrupt", path, f"{reason}: {way_out}") from None
        start = source.read_at(0, 12)
        reason = f"is not a readable audio file ({_reason(error)}, first bytes {start!r})"
        raise AudioError("not_audio", path, f"{reason}; {WAY_OUT}") from None


def _sound_of(container: InputContainer, path: str, *, cut_by_hand: bool) -> AudioStream:
    stream = next((each for each in container.streams.audio if each.codec_context), None)
    if stream is None:
        kind = container.format.long_name
        reason = f"contains no sound that can be decoded ({kind}); {WAY_OUT}"
        raise AudioError("unsupported_format", path, reason)
    stream.codec_context.thread_count = 1
    checks = {"err_detect": "crccheck+explode"}
    stream.codec_context.options = {
        **(checks if stream.codec_context.name in _WITH_CHECKSUMS else {}),
        **({"flags2": "+skip_manual"} if cut_by_hand else {}),
    }
    return stream


def _decoded(
    source: Source, path: str, link: Link, container: InputContainer, *, cut_by_hand: bool
) -> Iterator[_Piece]:
    stream = _sound_of(container, path, cut_by_hand=cut_by_hand)
    coverage = Coverage(source, path, container.format.name)
    n_decoded = 0
    n_most: int | None = None
    failure: str | None = None  # since the last frame
    for packet, frames in _packets(container, stream, path):
        if n_most is None:
            n_most = _n_most(link, stream, packet)
        if isinstance(frames, str):
            coverage.add(packet, None)
            failure = failure or frames
            continue
        coverage.add(packet, frames)
        for frame in frames:
            if failure and n_decoded:
                where = f"after {n_decoded / frame.sample_rate:.2f} s ({failure})"
                reason = f"decoding failed {where}; fetch it again, or {WAY_OUT}"
                raise AudioError("corrupt", path, reason)
            failure = None
            y = _samples(frame, path)[: n_most - n_decoded]
            n_decoded += len(y)
            yield _Piece(frame.sample_rate, y)
    if failure and not n_decoded:
        raise AudioError("corrupt", path, f"decoding failed ({failure}); {WAY_OUT}")
    coverage.check(failure)
    _check_end(container, stream, coverage.end_s, path)


def _n_most(link: Link, stream: AudioStream, first: "Packet[AudioStream]") -> int:
    """Return the most frames of a link: FFmpeg does not always cut the last packet of Vorbis.

    References
    ----------
    Vorbis I specification, appendix A.2: the last granule position is the number of samples; the
    first is above 0 if the recording of a stream started late.
    """
    if stream.codec_context.name != "vorbis" or link.last <= 0:
        return sys.maxsize
    return max(0, link.last - max(0, first.pts or 0))


def _packets(
    container: InputContainer, stream: AudioStream, path: str
) -> Iterator[tuple["Packet[AudioStream]", list[Any] | str]]:
    """Yield each packet with its frames, or with the reason why it has none."""
    try:
        for packet in container.demux(stream):
            yield packet, _frames(packet)
    except MemoryError:
        raise
    except av.FFmpegError as error:
        reason = f"reading failed ({_reason(error)}); fetch it again, or {WAY_OUT}"
        raise AudioError("corrupt", path, reason) from None


def _frames(packet: "Packet[AudioStream]") -> list[Any] | str:
    # Between concatenated files, FFmpeg mistakes tags for the start of a frame.
    n_tags = tags_length(bytes(packet)) if bytes(memoryview(packet)[:4]).startswith(TAGS) else 0
    if n_tags >= packet.size > 0:
        return []
    try:
        return _without(packet, n_tags).decode() if n_tags else packet.decode()
    except MemoryError:  # FFmpeg's own MemoryError is also an FFmpegError
        raise
    except av.FFmpegError as error:
        return _reason(error)


def _without(packet: "Packet[AudioStream]", n_tags: int) -> "Packet[AudioStream]":
    rest: Packet[Any] = Packet(bytes(packet)[n_tags:])
    rest.stream = packet.stream
    return rest


def _check_end(container: InputContainer, stream: AudioStream, end_s: float, path: str) -> None:
    if not container.format.name.startswith(_DECLARING):
        return
    if stream.duration and stream.time_base:
        declared_s = float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    elif container.duration and len(container.streams) == 1:
        declared_s = container.duration / av.time_base
    else:
        return
    if end_s < declared_s - _DECLARED_SLACK_S:
        found = f"its header declares {declared_s:.2f} s, but its data end at {end_s:.2f} s"
        reason = f"{found}: an incomplete download or copy; fetch it again"
        raise AudioError("truncated", path, reason)


def _samples(frame: AudioFrame, path: str) -> Waveform:
    """Return the exact decoded samples, shape (n_frames, n_channels), full scale 1."""
    n_channels = frame.layout.nb_channels
    try:
        raw = frame.to_ndarray()
    except ValueError:
        reason = f"has samples of the type {frame.format.name}, which is not supported; {WAY_OUT}"
        raise AudioError("unsupported_format", path, reason) from None
    y = raw.T if frame.format.is_planar else raw.reshape(-1, n_channels)
    kind = frame.format.name.removesuffix("p")
    if kind not in _STEPS:
        return np.ascontiguousarray(y, np.float32)
    offset = 128 if kind == "u8" else 0
    scale = np.float32(1 / _STEPS[kind])
    return np.ascontiguousarray((y.astype(np.float32) - np.float32(offset)) * scale)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
