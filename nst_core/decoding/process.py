"""Decoder program: ``python -m nst_core.decoding.process``, with a socket as stdin.

It decodes one file after another for `nst_core.decoding.isolation` and ends with its parent. A
crash, an endless loop or a growing heap of a decoder affects only this process.
"""

import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Any

from nst_core.arrays import Waveform
from nst_core.config import AudioLimits
from nst_core.decoding.decoders import open_decoder
from nst_core.decoding.ffmpeg import estimated_frames
from nst_core.decoding.file_types import WAY_OUT
from nst_core.decoding.messages import Kind, Message, receive_message, send_body, send_facts
from nst_core.decoding.source import Source, Stream
from nst_core.decoding.tags import read_tags
from nst_core.errors import AudioError


class _Parent:
    """Parent process. The alarm is set except while we wait for the parent: work must end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.patience_s = 0.0

    def send(self, kind: Kind, **facts: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        send_facts(self._connection, kind, **facts)
        signal.setitimer(signal.ITIMER_REAL, self.patience_s)

    def send_block(self, block: Waveform) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if block.size:
            send_body(self._connection, Kind.BLOCK, block.data)
        else:
            send_facts(self._connection, Kind.ALIVE)
        signal.setitimer(signal.ITIMER_REAL, self.patience_s)

    def wish(self) -> Message:
        signal.setitimer(signal.ITIMER_REAL, 0)
        message = receive_message(self._connection)
        if message is None:
            sys.exit()
        signal.setitimer(signal.ITIMER_REAL, self.patience_s)
        return message

    def files(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each file and its request, until the parent is gone."""
        while True:
            signal.setitimer(signal.ITIMER_REAL, 0)
            try:
                _, fds, _, _ = socket.recv_fds(self._connection, 1, 1)
            except ConnectionError:
                return
            message = receive_message(self._connection) if fds else None
            if message is None:
                return
            self.patience_s = message.facts["limits"]["decoder_patience_s"]
            signal.setitimer(signal.ITIMER_REAL, self.patience_s)
            yield fds[0], message.facts


def main() -> None:
    """Decode the files that the parent sends."""
    parent = _Parent(socket.socket(fileno=0))
    sys.excepthook = partial(_last_words, parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for fd, wanted in parent.files():
        limits = AudioLimits(**wanted["limits"])
        with _memory(limits.max_decoder_bytes), _owned(fd):
            try:
                _decode(Source(fd, wanted["path"]), wanted, limits, parent)
            except AudioError as error:
                parent.send(Kind.ERROR, code=error.code, reason=error.reason)


def _decode(source: Source, wanted: dict[str, Any], limits: AudioLimits, parent: _Parent) -> None:
    path = wanted["path"]
    if wanted["sha256"] is not None:
        found = source.identify(lambda: parent.send(Kind.ALIVE))
        if found != wanted["sha256"]:
            reason = f"is not the requested file (its sha256 is {found}); start again"
            raise AudioError("changed", path, reason)
    with ExitStack() as stack, _checked(source, limits):
        stream = open_decoder(source, path, limits, stack)
        parent.send(
            Kind.SOUND,
            sr=stream.sr,
            n_channels=stream.n_channels,
            n_declared=stream.n_declared,
            n_estimated=_estimated(stream, source) if wanted["estimates"] else None,
        )
        wish = parent.wish()
        if wish.kind == Kind.TAGS:
            tags, warnings = read_tags(source)
            source.check()
            parent.send(Kind.TAGS, tags=tags.to_json(), warnings=warnings)
        else:
            _send_section(stream, source, wish.facts, parent)


def _estimated(stream: Stream, source: Source) -> int | None:
    return stream.n_declared or estimated_frames(source, source.path, stream.sr)


@contextmanager
def _checked(source: Source, limits: AudioLimits) -> Iterator[None]:
    """Report an error of the source instead of the decoder error that it caused."""
    try:
        yield
    except AudioError:
        source.check()
        raise
    except MemoryError:
        reason = f"its decoder needs more than {limits.max_decoder_bytes >> 20} MiB; {WAY_OUT}"
        raise AudioError("decoder_memory", source.path, reason) from None


def _send_section(stream: Stream, source: Source, wanted: dict[str, Any], parent: _Parent) -> None:
    start, stop = wanted["start"], wanted["stop"]
    n_decoded, goes_on = 0, False
    for block in stream.blocks:
        source.check()
        if n_decoded == stop:
            goes_on = True
            break
        kept = block[: stop - n_decoded]
        parent.send_block(kept[max(0, start - n_decoded) :])
        n_decoded += len(kept)
        goes_on = len(kept) < len(block)
        if goes_on or (n_decoded == stop and not wanted["looks_on"]):
            break
    source.check()
    parent.send(Kind.END, n_decoded=n_decoded, goes_on=goes_on)


@contextmanager
def _memory(n_bytes: int) -> Iterator[None]:
    """Limit the address space that the process may take in addition to its present one."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _address_space() + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _address_space() -> int:
    try:
        with open("/proc/self/statm", "rb") as facts:  # noqa: PTH123
            return int(facts.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:  # not Linux
        return 1 << 30


@contextmanager
def _owned(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


def _last_words(
    parent: _Parent,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    del trace
    if not issubclass(kind, ConnectionError):  # a ConnectionError means that the parent is gone
        reason = f"its decoder failed ({kind.__name__}: {error}); {WAY_OUT}"
        parent.send(Kind.ERROR, code="decoder_crashed", reason=reason)


if __name__ == "__main__":
    main()
