"""Bytes of a sound file for the decoders: exactly those that were hashed.

A file may be changed or replaced while it is read. Its name and modification time do not show this
reliably. So the hashed bytes, or digests of their blocks, are kept, and a decoder gets no byte that
differs.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nst_core.arrays import Waveform
from nst_core.errors import AudioError

_BLOCK = 1 << 20
_N_KEPT = 32
"""Number of hashed blocks that stay in memory: hashing them a second time would cost more."""
_BUFFER = 1 << 18


@dataclass
class Stream:
    """Decoded form of a source."""

    sr: int
    n_channels: int
    n_declared: int | None
    """Number of frames, if the header states it reliably."""
    blocks: Iterator[Waveform]
    """Non-empty blocks from the first frame on, shape (n_frames, n_channels).

    Raises `AudioError` if sound is missing.
    """


class Source:
    """Regular file that is open for reading, given by its descriptor.

    Parameters
    ----------
    fd
        Descriptor of the file; only its owner closes it.
    path
        Name of the file in error messages.
    """

    def __init__(self, fd: int, path: str) -> None:
        self._fd, self.path = fd, path
        self._known: list[bytes] = []
        self._failure: AudioError | None = None
        self.n_bytes = os.fstat(fd).st_size

    def identify(self, on_progress: Callable[[], None]) -> str:
        """Hash the file; from now on only the hashed content can be read.

        Parameters
        ----------
        on_progress
            Called after each MiB.

        Returns
        -------
        The sha256, in hexadecimal.
        """
        whole, at = hashlib.sha256(), 0
        while block := self._read_block(at):
            whole.update(block)
            self._known.append(block if len(self._known) < _N_KEPT else _digest(block))
            at += len(block)
            on_progress()
        self.n_bytes = at
        self.check()
        return whole.hexdigest()

    def open(self, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Return a file object without a name for a part of the bytes.

        It ends early where reading fails, because decoders ignore exceptions; `check` raises them.
        """
        stop = self.n_bytes if stop is None else stop
        return io.BufferedReader(_Part(self, start, stop), _BUFFER)

    def check(self) -> None:
        """Raise the error that a file object of this source has met, if any.

        Raises
        ------
        AudioError
            ``changed``, ``unreadable``.
        """
        if self._failure is not None:
            raise self._failure

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return bytes from a position; fewer only at the end, or if `check` raises."""
        parts: list[bytes] = []
        while n_bytes and (part := self._read_part(at, n_bytes)):
            parts.append(part)
            n_bytes, at = n_bytes - len(part), at + len(part)
        return b"".join(parts)

    def _read_part(self, at: int, n_bytes: int) -> bytes:
        """Return bytes from a position, at most to the end of its block; none at the file's end."""
        if not self._known:
            return self._read(n_bytes, at)
        number, offset = divmod(at, _BLOCK)
        if number >= len(self._known):
            return b""
        block = self._known[number]
        if number >= _N_KEPT:
            block, digest = self._read_block(number * _BLOCK), block
            if _digest(block) != digest:
                reason = "changed while it was read; start again when it is complete"
                self._failure = AudioError("changed", self.path, reason)
                return b""
        return block[offset : offset + n_bytes]

    def _read_block(self, at: int) -> bytes:
        parts: list[bytes] = []
        left = _BLOCK
        while left and (part := self._read(left, at)):
            parts.append(part)
            left, at = left - len(part), at + len(part)
        return b"".join(parts)

    def _read(self, n_bytes: int, at: int) -> bytes:
        try:
            return os.pread(self._fd, n_bytes, at)
        except OSError as error:
            reason = f"cannot be read ({error.strerror}); check the disk or the network"
            self._failure = AudioError("unreadable", self.path, reason)
            return b""


class _Part(io.RawIOBase):
    def __init__(self, source: Source, start: int, stop: int) -> None:
        super().__init__()
        self._source, self._start, self._stop, self._at = source, start, stop, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._stop}
        at = origins[whence] + offset
        if at < self._start:
            raise OSError(f"{at - self._start} is before the start")
        self._at = at
        return at - self._start

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # its stub is wider
        n_wanted = min(len(buffer), max(self._stop - self._at, 0))
        found = self._source.read_at(self._at, n_wanted) if n_wanted else b""
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _digest(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=16).digest()
