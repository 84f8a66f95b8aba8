"""Messages between a decoder process and its parent, over a Unix socket."""

import json
import socket
import struct
from enum import IntEnum
from typing import Any, NamedTuple

_HEAD = struct.Struct("<BQ")


class Kind(IntEnum):
    """Kind of a message; all kinds except blocks contain JSON."""

    FILE = 1
    """To the decoder: the file to decode, with its descriptor."""
    SECTION = 2
    """To the decoder: the frames to decode."""
    SOUND = 3
    """From the decoder: rate, channels and declared length."""
    BLOCK = 4
    """From the decoder: float32 samples."""
    ALIVE = 5
    """From the decoder: it is working but has nothing to send yet."""
    END = 6
    """From the decoder: the number of decoded frames, and whether more follow."""
    ERROR = 7
    """From the decoder: code and reason of an `AudioError`."""
    TAGS = 8
    """To the decoder: read the tags instead of the sound. From the decoder: the tags."""


class Message(NamedTuple):
    """One message."""

    kind: Kind
    body: bytearray

    @property
    def facts(self) -> dict[str, Any]:
        """JSON object in the body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def send_facts(connection: socket.socket, kind: Kind, **facts: Any) -> None:
    """Send a message of JSON."""
    send_body(connection, kind, json.dumps(facts).encode())


def send_body(connection: socket.socket, kind: Kind, body: bytes | memoryview) -> None:
    """Send a message of bytes or of an array's memory."""
    view = memoryview(body)
    connection.sendall(_HEAD.pack(kind, view.nbytes))
    connection.sendall(view.cast("B"))


def receive_message(connection: socket.socket) -> Message | None:
    """Return the next message; None if the other side is gone, even in mid-message."""
    head = _receive(connection, _HEAD.size)
    if head is None:
        return None
    kind, n_bytes = _HEAD.unpack(head)
    body = _receive(connection, n_bytes)
    return None if body is None else Message(Kind(kind), body)


def _receive(connection: socket.socket, n_bytes: int) -> bytearray | None:
    found = bytearray(n_bytes)
    left = memoryview(found)
    while left:
        try:
            n_received = connection.recv_into(left)
        except ConnectionError:
            return None
        if not n_received:
            return None
        left = left[n_received:]
    return found
