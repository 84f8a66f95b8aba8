"""Writing of tags: the same tags give the same bytes.

libsndfile writes the texts into WAV, FLAC, OGG and Opus. This module adds what it cannot write:
covers, and the tags of MP3, whose texts it would write in a wrong encoding. (mutagen could do all
this, but it is under the GPL, which would bind everybody who passes on this package with it.)

References
----------
ID3v2.4: https://id3.org/id3v2.4.0-structure. FLAC's picture: RFC 9639, section 8.8. Vorbis
comments: https://xiph.org/vorbis/doc/v-comment.html; pictures in them:
https://wiki.xiph.org/VorbisComment. Opus: RFC 7845, section 5.2. Ogg pages: RFC 3533, section 6.
"""

import base64
import os
import struct
from collections.abc import Iterator, Sequence
from io import FileIO

from nst_core.config import AudioFormat
from nst_core.decoding.tags import Cover, Tags
from nst_core.streaming.arrays import write_all

_SNDFILE_NAMES = {"track": "tracknumber"}
_ID3_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "track": b"TRCK",
    "date": b"TDRC",
    "genre": b"TCON",
}
_UTF_8 = b"\x03"
_FRONT = 3
"""Type of a picture of the front cover, in ID3 as in FLAC."""
_FLAC_START = 4
_FLAC_LAST, _FLAC_PICTURE = 0x80, 6
_BLOCK = 1 << 20
_N_HEADERS = {"ogg": 3, "opus": 2}
"""Packets before the sound; the second holds the comments."""
_COMMENTS_AT = {"ogg": len(b"\x03vorbis"), "opus": len(b"OpusTags")}
_MOST_SEGMENTS = 255


def sndfile_tags(kind: AudioFormat, tags: Tags) -> dict[str, str]:
    """Return the texts that libsndfile is to write, by its names."""
    if kind == "mp3":
        return {}
    return {_SNDFILE_NAMES.get(name, name): text for name, text in tags.texts.items()}


def write_tags(file: FileIO, kind: AudioFormat, tags: Tags) -> None:
    """Write into a finished file what `sndfile_tags` leaves out.

    The pages of an Ogg file get no numbers and checksums here.
    """
    if kind == "mp3" and (tags.texts or tags.cover):
        _insert(file, 0, _id3(tags))
    elif tags.cover is None:
        return
    elif kind == "wav":
        _append_chunk(file, b"id3 ", _id3(tags))
    elif kind == "flac":
        _insert_flac_block(file, _picture(tags.cover))
    else:
        _add_comment(file, kind, _picture(tags.cover))


def _id3(tags: Tags) -> bytes:
    frames = [
        (_ID3_FRAMES[name], _UTF_8 + text.encode())
        for name, text in tags.texts.items()
        if name in _ID3_FRAMES
    ]
    if tags.comment:
        frames.append((b"COMM", _UTF_8 + b"eng\0" + tags.comment.encode()))
    if cover := tags.cover:
        head = _UTF_8 + cover.mime_type.encode() + bytes([0, _FRONT, 0])
        frames.append((b"APIC", head + cover.data))
    body = b"".join(name + _syncsafe(len(data)) + bytes(2) + data for name, data in frames)
    return b"ID3\x04\0\0" + _syncsafe(len(body)) + body


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _picture(cover: Cover) -> bytes:
    """Return a picture as FLAC and Vorbis comments hold it; its size in pixels is left open."""
    mime_type = cover.mime_type.encode()
    head = struct.pack(">II", _FRONT, len(mime_type)) + mime_type
    return head + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(cover.data)) + cover.data


def _append_chunk(wav: FileIO, name: bytes, data: bytes) -> None:
    end = wav.seek(0, os.SEEK_END)
    chunk = bytes(end % 2) + name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    write_all(wav, chunk)
    wav.seek(4)
    write_all(wav, struct.pack("<I", end + len(chunk) - 8))


def _insert_flac_block(flac: FileIO, data: bytes) -> None:
    """Insert a picture after the first block, which describes the stream."""
    flac.seek(_FLAC_START)
    head = flac.read(4)
    is_last = head[0] & _FLAC_LAST
    flac.seek(_FLAC_START)
    write_all(flac, bytes([head[0] & ~_FLAC_LAST]))
    block = bytes([_FLAC_PICTURE | is_last]) + len(data).to_bytes(3, "big") + data
    _insert(flac, _FLAC_START + len(head) + int.from_bytes(head[1:], "big"), block)


def _add_comment(ogg: FileIO, kind: AudioFormat, picture: bytes) -> None:
    """Add a picture to the comments, and put the headers on new pages."""
    ogg.seek(0)
    pages = _read_pages(ogg)
    next(pages)  # the first header has a page of its own
    start = ogg.tell()
    packets: list[bytes] = []
    open_packet = b""
    while len(packets) < _N_HEADERS[kind] - 1:
        table, body = next(pages)
        at = 0
        for length in table:
            open_packet += body[at : at + length]
            at += length
            if length < _MOST_SEGMENTS:
                packets.append(open_packet)
                open_packet = b""
    stop = ogg.tell()
    comment = b"METADATA_BLOCK_PICTURE=" + base64.b64encode(picture)
    packets[0] = _with_comment(packets[0], _COMMENTS_AT[kind], comment)
    written = b"".join(_pages(packets))
    _insert(ogg, stop, written[stop - start :])
    ogg.seek(start)
    write_all(ogg, written[: stop - start])


def _with_comment(packet: bytes, at: int, comment: bytes) -> bytes:
    """Return a comment packet with one more comment; a framing bit stays behind the last one."""
    (n_vendor,) = struct.unpack_from("<I", packet, at)
    count_at = at + 4 + n_vendor
    (count,) = struct.unpack_from("<I", packet, count_at)
    end = count_at + 4
    for _ in range(count):
        end += 4 + struct.unpack_from("<I", packet, end)[0]
    added = struct.pack("<I", len(comment)) + comment
    counted = struct.pack("<I", count + 1)
    return packet[:count_at] + counted + packet[count_at + 4 : end] + added + packet[end:]


def _read_pages(ogg: FileIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the segment table and the body of each page."""
    while header := _read(ogg, 27):
        table = _read(ogg, header[26])
        yield table, _read(ogg, sum(table))


def _pages(packets: Sequence[bytes]) -> Iterator[bytes]:
    """Yield pages of header packets, without serial, number and checksum."""
    segments = [
        (packet[at : at + _MOST_SEGMENTS], at > 0)
        for packet in packets
        for at in range(0, len(packet) + 1, _MOST_SEGMENTS)
    ]
    for first in range(0, len(segments), _MOST_SEGMENTS):
        own = segments[first : first + _MOST_SEGMENTS]
        table = bytes(len(data) for data, _ in own)
        granule = 0 if min(table) < _MOST_SEGMENTS else -1  # -1: no packet ends on the page
        head = struct.pack("<4sBBq12xB", b"OggS", 0, own[0][1], granule, len(own))
        yield head + table + b"".join(data for data, _ in own)


def _insert(file: FileIO, at: int, data: bytes) -> None:
    """Insert bytes, and move what is behind them."""
    end = file.seek(0, os.SEEK_END)
    for stop in range(end, at, -_BLOCK):
        start = max(at, stop - _BLOCK)
        file.seek(start)
        block = _read(file, stop - start)
        file.seek(start + len(data))
        write_all(file, block)
    file.seek(at)
    write_all(file, data)


def _read(file: FileIO, n_bytes: int) -> bytes:
    """Read from an unbuffered file, which may return only a part at a time."""
    parts: list[bytes] = []
    while n_bytes and (part := file.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)
