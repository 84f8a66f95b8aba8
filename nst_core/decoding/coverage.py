"""Check that a decoder used the whole file: decoders do not report the data that they skip."""

import re
from collections.abc import Sequence
from typing import NoReturn

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from nst_core.decoding.file_types import TAGS
from nst_core.decoding.source import Source
from nst_core.errors import AudioError

_FRAMED = ("mp3", "aac", "ac3", "eac3", "dts", "loas")
"""Formats without a container: frames follow each other, with at most tags between them."""
_CHECKED_BEFORE = ("wav", "w64", "aiff", "au", "caf")
"""Containers whose header was already compared with the length: FFmpeg reads beyond their end."""
_LEAST_UNKNOWN = 8192
_MOST_UNKNOWN = 0.02
"""Largest share of a file's bytes that may be neither frames nor tags."""
_AGAIN = "fetch it again"
_XING = re.compile(
    rb"\xff(?:[\xfa\xfb](?:.[\x00-\xbf].{32}|.[\xc0-\xff].{17})"
    rb"|[\xe2\xe3\xf2\xf3](?:.[\x00-\xbf].{17}|.[\xc0-\xff].{9}))"
    rb"(?:Xing|Info)(?P<flags>.{4})(?P<n_frames>.{4})",
    re.DOTALL,
)
"""Header of an MPEG layer III frame, its side information, then name, flags and frame count.

MPEG-1 has 32 bytes of side information, or 17 in mono; MPEG-2 and 2.5 have 17, or 9. The name alone
is not enough, because tags before the first frame may contain that word.
"""


class Coverage:
    """Decoded part of a file, in bytes and in time.

    Parameters
    ----------
    source, path
        File, and its name in error messages.
    format_name
        FFmpeg's name for the format.
    """

    def __init__(self, source: Source, path: str, format_name: str) -> None:
        self._source, self._path, self._format = source, path, format_name
        self._is_cut = False
        self._end: int | None = None
        self._start = 0
        self._n_unknown = self._n_packets = 0
        self._next_pts: int | None = None
        self.end_s = 0.0
        """End of the last packet in seconds."""

    def add(self, packet: "Packet[AudioStream]", frames: Sequence[AudioFrame] | None) -> None:
        """Count a packet and its decoded frames; None if decoding failed.

        Raises
        ------
        AudioError
            ``corrupt``: packets are missing before it.
        """
        if not packet.size:
            return  # the empty packet marks the end
        self._is_cut = packet.is_corrupt
        self._add_time(packet, frames or ())
        if frames is None:
            return
        self._n_packets += 1
        if packet.pos is None:
            return
        if self._end is None:
            self._start = packet.pos
        else:
            self._add_gap(self._end, packet.pos)
        self._end = max(self._end or 0, packet.pos + packet.size)

    def _add_time(self, packet: "Packet[AudioStream]", frames: Sequence[AudioFrame]) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        start_s = float(packet.pts * packet.time_base)
        # A FLAC frame states its position; concatenated files start at 0 again.
        is_late = packet.pts not in (0, self._next_pts) and self._next_pts is not None
        if self._format == "flac" and is_late:
            self._refuse("corrupt", f"sound is missing before {start_s:.2f} s; {_AGAIN}")
        self._next_pts = packet.pts + (packet.duration or 0)
        decoded_s = sum(frame.samples / frame.sample_rate for frame in frames)
        declared_s = float((packet.duration or 0) * packet.time_base)
        self.end_s = max(self.end_s, start_s + max(decoded_s, declared_s))

    def _add_gap(self, start: int, stop: int) -> None:
        if stop > start and not self._source.read_at(start, 16).startswith((*TAGS, b"LYRICSBEGIN")):
            self._n_unknown += stop - start

    def check(self, failure: str | None) -> None:
        """Compare the decoded part with the whole file.

        Parameters
        ----------
        failure
            Error of the decoder for the last packets.

        Raises
        ------
        AudioError
            ``truncated``, ``corrupt``.
        """
        if self._format in _FRAMED:
            self._check_bytes()
        elif failure or (self._is_cut and self._format not in _CHECKED_BEFORE):
            reason = f"ends in the middle ({failure or 'its last packet is cut off'})"
            self._refuse("truncated", f"{reason}; {_AGAIN}")
        n_declared = self._n_declared() if self._format == "mp3" else 0
        if self._n_packets < n_declared:
            found = f"its header declares {n_declared} MP3 frames, but it has {self._n_packets}"
            self._refuse("truncated", f"{found}: an incomplete download or copy; {_AGAIN}")

    def _check_bytes(self) -> None:
        n_bytes = self._source.n_bytes
        self._add_gap(self._end or 0, n_bytes)
        if self._n_unknown > max(_LEAST_UNKNOWN, _MOST_UNKNOWN * (n_bytes - self._start)):
            found = f"{self._n_unknown} of its {n_bytes} bytes contain no sound that can be decoded"
            self._refuse("corrupt", f"{found}; {_AGAIN}")

    def _n_declared(self) -> int:
        """Return the frames that a Xing header declares, minus one that may be cut off."""
        start = max(0, self._start - 4096)
        found = _XING.search(self._source.read_at(start, self._start - start))
        if not found or not found["flags"][-1] & 1:
            return 0
        return int.from_bytes(found["n_frames"], "big") - 1

    def _refuse(self, code: str, reason: str) -> NoReturn:
        raise AudioError(code, self._path, reason)
