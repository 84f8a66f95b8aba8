"""Decode sound files in separate processes, so that a crash of a decoder affects only one file.

A decoder process starts when needed, decodes one file at a time, and is then reused. It ends with
this process, however this process ends.
"""

import atexit
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nst_core.arrays import Waveform
from nst_core.config import AudioLimits
from nst_core.decoding.file_types import WAY_OUT
from nst_core.decoding.messages import Kind, Message, receive_message, send_facts
from nst_core.decoding.tags import Tags
from nst_core.errors import AudioError

_MOST_IDLE = 2
_GRACE_S = 5.0
"""Time that a decoder has to end itself after its time limit, before it is killed."""
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")
"""Variables that a decoder inherits; the full environment may contain secrets."""


_LAST = (Kind.END, Kind.TAGS)
"""Messages with which a decoder has done what was asked."""
_LAST_WORDS = ("decoder_memory", "decoder_crashed")
"""Errors after which a decoder is not reused."""


class _Decoder:
    """Process that decodes."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs, ExitStack() as stack:
            stack.callback(self._connection.close)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nst_core.decoding.process"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                process_group=0,  # only the parent gets Ctrl-C
            )
            stack.pop_all()  # it has started: `end` closes the connection
        self.is_idle = True
        _all.add(self)

    @property
    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def ask(
        self,
        fh: BinaryIO,
        path: str,
        limits: AudioLimits,
        sha256: str | None,
        *,
        estimates: bool,
    ) -> Message:
        """Send a file and return the answer."""
        self.is_idle = False
        self._connection.settimeout(limits.decoder_patience_s + _GRACE_S)
        facts = {
            "path": path,
            "sha256": sha256,
            "limits": dataclasses.asdict(limits),
            "estimates": estimates,
        }
        # If the process is gone, `receive` reports it.
        with suppress(ConnectionError):
            socket.send_fds(self._connection, [b"F"], [fh.fileno()])
            send_facts(self._connection, Kind.FILE, **facts)
        return self.receive(path, limits)

    def want(self, **section: int | bool) -> None:
        """Request a section of frames."""
        with suppress(ConnectionError):
            send_facts(self._connection, Kind.SECTION, **section)

    def want_tags(self) -> None:
        """Request the tags."""
        with suppress(ConnectionError):
            send_facts(self._connection, Kind.TAGS)

    def receive(self, path: str, limits: AudioLimits) -> Message:
        """Return the next message that has content.

        Raises
        ------
        AudioError
            The decoder's own error; ``decoder_crashed``, ``decoder_stalled``.
        """
        while True:
            try:
                message = receive_message(self._connection)
            except TimeoutError:
                self.end()
                raise _stalled(path, limits) from None
            if message is None:
                raise self._failure(path, limits)
            if message.kind == Kind.ERROR:
                error = message.facts
                self.is_idle = error["code"] not in _LAST_WORDS
                raise AudioError(error["code"], path, error["reason"])
            self.is_idle = message.kind in _LAST
            if message.kind != Kind.ALIVE:
                return message

    def _failure(self, path: str, limits: AudioLimits) -> AudioError:
        """Return the error for a decoder that closed its connection."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        status = self.end()
        if status == -signal.SIGALRM:
            return _stalled(path, limits)
        how = f"status {status}; `python -m nst_core.decoding.process </dev/null` may show more"
        how = signal.Signals(-status).name if status < 0 else how
        return AudioError("decoder_crashed", path, f"its decoder crashed ({how}); {WAY_OUT}")

    def end(self) -> int:
        """End the process and return its exit status."""
        self._connection.close()
        self._process.kill()
        status: int = self._process.wait()
        return status

    def forget(self) -> None:
        """Give up the process in a fork: it belongs to the process that started it."""
        self._connection.close()
        self._process.returncode = 0  # otherwise Popen would wait for it


class Sound:
    """Sound that is being decoded; `blocks` decodes it.

    Attributes
    ----------
    sr, n_channels
        Rate and channels of the first frame.
    n_declared
        Declared number of frames; None if the header has none or is unreliable.
    n_estimated
        With `estimates`: about the number of frames; None if unknown.
    n_decoded
        Number of frames from the beginning, once `blocks` has ended.
    goes_on
        Whether more frames follow; only known with `looks_on`.
    """

    def __init__(
        self,
        decoder: _Decoder,
        fh: BinaryIO,
        path: str,
        limits: AudioLimits,
        sha256: str | None,
        *,
        estimates: bool,
    ) -> None:
        self._decoder, self._path, self._limits = decoder, path, limits
        facts = decoder.ask(fh, path, limits, sha256, estimates=estimates).facts
        self.sr: int = facts["sr"]
        self.n_channels: int = facts["n_channels"]
        self.n_declared: int | None = facts["n_declared"]
        self.n_estimated: int | None = facts["n_estimated"]
        self.n_decoded = 0
        self.goes_on = False

    def blocks(self, start: int, stop: int, *, looks_on: bool) -> Iterator[Waveform]:
        """Yield the frames of a section, shape (n_frames, n_channels).

        Earlier frames are decoded and dropped: seeking is not sample-accurate in every format, and
        it skips damage silently.

        Parameters
        ----------
        start, stop
            Frames; the sound may end earlier.
        looks_on
            Whether to find out if the sound continues.

        Raises
        ------
        AudioError
            If the decoder fails.
        """
        self._decoder.want(start=start, stop=stop, looks_on=looks_on)
        while True:
            message = self._decoder.receive(self._path, self._limits)
            if message.kind == Kind.END:
                self.n_decoded = message.facts["n_decoded"]
                self.goes_on = message.facts["goes_on"]
                return
            yield np.frombuffer(message.body, np.float32).reshape(-1, self.n_channels)

    def tags(self) -> tuple[Tags, tuple[str, ...]]:
        """Return the tags of the file and warnings about them, instead of calling `blocks`.

        Raises
        ------
        AudioError
            If the decoder fails.
        """
        self._decoder.want_tags()
        facts = self._decoder.receive(self._path, self._limits).facts
        return Tags.from_json(facts["tags"]), tuple(facts["warnings"])


@contextmanager
def decoded(
    fh: BinaryIO,
    path: str | Path,
    limits: AudioLimits,
    *,
    sha256: str | None = None,
    estimates: bool = False,
) -> Iterator[Sound]:
    """Decode an open file in a separate process.

    Parameters
    ----------
    fh
        Regular file; its position does not matter.
    path
        Name of the file in error messages.
    sha256
        Expected hash of the file: no other content is decoded, even if the file changes meanwhile.
    estimates
        Whether to estimate a length that no header declares.

    Raises
    ------
    AudioError
        If `nst_core.decoding.decoders.open_decoder` refuses the file; ``changed``, ``unreadable``;
        ``decoder_crashed``, ``decoder_stalled``, ``decoder_memory``.
    """
    decoder = _take(str(path))
    try:
        yield Sound(decoder, fh, str(path), limits, sha256, estimates=estimates)
    finally:
        _give_back(decoder)


_all: weakref.WeakSet[_Decoder] = weakref.WeakSet()
_idle: list[_Decoder] = []
_lock = threading.Lock()


def _take(path: str) -> _Decoder:
    with _lock:
        while _idle:
            decoder = _idle.pop()
            if decoder.is_alive:
                return decoder
            decoder.end()
    try:
        return _Decoder()
    except OSError as error:
        reason = f"its decoder cannot be started ({error.strerror}); run fewer at a time"
        raise AudioError("decoder_crashed", path, reason) from error


def _give_back(decoder: _Decoder) -> None:
    with _lock:
        if decoder.is_idle and len(_idle) < _MOST_IDLE:
            _idle.append(decoder)
            return
    decoder.end()


def end_decoders() -> None:
    """End the idle decoder processes."""
    with _lock:
        while _idle:
            _idle.pop().end()


def _forget_all() -> None:
    global _lock  # noqa: PLW0603  # a thread of the parent may have held it
    _lock = threading.Lock()
    _idle.clear()
    for decoder in list(_all):
        decoder.forget()


def _stalled(path: str, limits: AudioLimits) -> AudioError:
    reason = f"its decoder has sent nothing for {limits.decoder_patience_s:g} s"
    return AudioError("decoder_stalled", path, f"{reason}; {WAY_OUT}")


def _environment() -> dict[str, str]:
    # Give the decoder the import path of this process, which a notebook may have changed.
    folders = [*filter(None, sys.path), str(Path(__file__).parents[1])]
    modules = os.pathsep.join(str(Path(folder).absolute()) for folder in folders)
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {**passed_on, **single, "PYTHONPATH": modules}


atexit.register(end_decoders)
os.register_at_fork(after_in_child=_forget_all)
