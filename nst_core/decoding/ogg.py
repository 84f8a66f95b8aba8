"""Pages of an Ogg file: the extent of each sound in it, read without decoding.

References
----------
RFC 3533, section 6: flags at byte 5 of a page, granule position at 6, serial at 14, sequence
number at 18, checksum at 22, segment table at 26. RFC 7845: an Opus granule counts 48,000 a second.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from nst_core.decoding.containers import SLACK_BYTES
from nst_core.decoding.file_types import TAGS
from nst_core.errors import AudioError

_PAGE = struct.Struct("<4sBBqIIIB")
_CAPTURE = b"OggS"
_BEGINS = 2
_NO_GRANULE = -1
_SEARCHED = 1 << 16
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"fLaC")


class _Page(NamedTuple):
    start: int
    stop: int
    begins: bool
    granule: int
    serial: int
    number: int
    body: bytes
    """First bytes of the body."""


@dataclass
class Link:
    """One of the concatenated sounds of a chained file."""

    start: int
    stop: int
    serial: int | None = None
    first: int = _NO_GRANULE
    last: int = _NO_GRANULE

    @property
    def n_least(self) -> int:
        """Number of frames without those of the first page: a recorded stream begins late."""
        return max(self.last - self.first, 0)


def find_links(fh: BinaryIO, path: str) -> list[Link]:
    """Find the sounds of an Ogg file by reading its pages.

    Raises
    ------
    AudioError
        ``truncated``: the end is cut off. ``corrupt``: pages are missing or damaged.
    """
    links: list[Link] = []
    was_beginning = False
    numbers: dict[int, int] = {}
    for page in _pages(fh, path):
        if page.begins and not was_beginning:
            links.append(Link(page.start, page.stop))
            numbers = {}
        was_beginning = page.begins
        if not links:
            raise AudioError("corrupt", path, "is Ogg without a beginning; fetch it again")
        _add(links[-1], page)
        # If recording started late, any page number may follow the headers.
        if page.serial in numbers and page.number != numbers[page.serial] + 1:
            reason = f"pages are missing before byte {page.start}; fetch it again"
            raise AudioError("corrupt", path, reason)
        if page.granule > 0:
            numbers[page.serial] = page.number
    return links


def _add(link: Link, page: _Page) -> None:
    link.stop = page.stop
    if page.begins and link.serial is None and page.body.startswith(_AUDIO):
        link.serial = page.serial
    if page.serial == link.serial and page.granule > 0:
        link.first = page.granule if link.first == _NO_GRANULE else link.first
        link.last = page.granule


def _pages(fh: BinaryIO, path: str) -> Iterator[_Page]:
    at = _find_capture(fh, 0, path)
    while at is not None:
        fh.seek(at)
        head = fh.read(_PAGE.size)
        n_segments = head[26] if len(head) == _PAGE.size else 0
        table = fh.read(n_segments)
        body = fh.read(sum(table))
        if len(head) < _PAGE.size or len(table) < n_segments or len(body) < sum(table):
            reason = "its last page is cut off: an incomplete download or copy; fetch it again"
            raise AudioError("truncated", path, reason)
        _, _, flags, granule, serial, number, checksum, _ = _PAGE.unpack(head)
        if page_checksum(head[:22] + bytes(4) + head[26:] + table + body) != checksum:
            raise AudioError("corrupt", path, f"its page at byte {at} is damaged; fetch it again")
        stop = at + len(head) + len(table) + len(body)
        yield _Page(at, stop, bool(flags & _BEGINS), granule, serial, number, body[:16])
        at = _find_capture(fh, stop, path)


def page_checksum(page: bytes | bytearray) -> int:
    """Return the checksum of a page whose checksum field is zero."""
    # Ogg's CRC-32 has zlib's polynomial with the bits the other way round, no initial
    # value and no final inversion: mirrored in and out, zlib computes it at full speed.
    mirrored = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _find_capture(fh: BinaryIO, at: int, path: str) -> int | None:
    """Return the position of the next page: here, or after data between the sounds of a chain."""
    fh.seek(at)
    start = head = fh.read(len(_CAPTURE))
    offset = at
    while (found := head.find(_CAPTURE)) < 0:
        more = fh.read(_SEARCHED)
        if not more:
            break
        offset += len(head) - len(tail := head[-3:])
        head = tail + more
    if found > 0 or (found == 0 and offset > at):
        is_between = at == 0 or start.startswith(TAGS)
        if not is_between:
            raise AudioError("corrupt", path, f"has no page at byte {at}; fetch it again")
    if found >= 0:
        return offset + found
    n_left = fh.tell() - at
    if n_left > SLACK_BYTES and not start.startswith(TAGS):
        reason = f"its last {n_left} bytes hold no page: an incomplete download; fetch it again"
        raise AudioError("truncated", path, reason)
    return None
