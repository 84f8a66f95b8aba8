"""Find the FLAC streams of a file without decoding: FFmpeg loses sound between two streams.

References
----------
RFC 9639, sections 6 and 8: a stream begins with ``fLaC`` and a STREAMINFO block of 34 bytes, whose
bytes 10 to 17 end in 36 bits for the number of samples; 0 means that it is unknown.
"""

import re
from itertools import pairwise

from nst_core.decoding.ogg import Link
from nst_core.decoding.source import Source

_SEARCHED = 1 << 20
_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""Signature, then the header of a STREAMINFO block, which other blocks may follow."""
_START_BYTES = 8
_LENGTH_AT = 18


def find_streams(source: Source) -> list[Link]:
    """Split concatenated FLAC files into streams.

    Tags belong to the stream before them; tags before the first stream belong to that stream.
    """
    starts = _starts(source)
    bounds = [0, *starts[1:], source.n_bytes]
    lengths = [_n_declared(source, start) for start in starts] or [0]
    return [
        Link(start, stop, first=0, last=n_declared)
        for (start, stop), n_declared in zip(pairwise(bounds), lengths, strict=True)
    ]


def _starts(source: Source) -> list[int]:
    found: list[int] = []
    fh, at, tail = source.open(), 0, b""
    while block := fh.read(_SEARCHED):
        data = tail + block
        found += [at - len(tail) + match.start() for match in _START.finditer(data)]
        at += len(block)
        tail = data[1 - _START_BYTES :]
    return found


def _n_declared(source: Source, start: int) -> int:
    field = source.read_at(start + _LENGTH_AT, 8)
    return int.from_bytes(field, "big") & ((1 << 36) - 1)
