"""First checks of a sound file: it can be opened, and its first bytes do not rule out a recording.

They run before any decoder reads the file. The limits on rate and channels are also here.
"""

import stat
from pathlib import Path
from typing import BinaryIO

from nst_core.config import AudioLimits
from nst_core.errors import AudioError

WAY_OUT = "convert it with ffmpeg to WAV, AIFF, AU, FLAC, OGG or MP3, or name another file"

_NO_SOUND = (
    (b"MThd", "MIDI"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
)
_KNOWN = (
    (4, b"ftyp", "MP4/M4A"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA/ASF"),
    (0, b"\x1aE\xdf\xa3", "Matroska/WebM"),
    (0, b"OggS", "Ogg"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
)
TAGS = (b"ID3", b"TAG", b"APET")
"""First bytes of tags, which may come before, between or after sounds."""


def open_regular(path: str | Path, max_bytes: int | None) -> BinaryIO:
    """Open a regular, non-empty file.

    Parameters
    ----------
    max_bytes
        Limit on the size of the file; None if only a section of it is read.

    Raises
    ------
    AudioError
        ``not_found``, ``permission``, ``not_a_file``, ``empty_file``, ``too_big``.
    """
    # Before open(): a FIFO would block it for ever.
    try:
        facts = Path(path).stat()
    except PermissionError:
        raise AudioError("permission", path, "cannot be read by this user") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise AudioError("not_found", path, f"no such file ({error})") from None
    if not stat.S_ISREG(facts.st_mode):
        kind = "directory" if stat.S_ISDIR(facts.st_mode) else "pipe, socket or device"
        raise AudioError("not_a_file", path, f"is a {kind}; a regular file is needed")
    if facts.st_size == 0:
        raise AudioError("empty_file", path, "is empty (0 bytes); copy it again")
    if max_bytes is not None and facts.st_size > max_bytes:
        size, most = facts.st_size >> 20, max_bytes >> 20
        reason = f"{size} MiB is over the limit of {most} MiB; read a section of it, or cut it"
        raise AudioError("too_big", path, reason)
    try:
        return Path(path).open("rb")
    except PermissionError:
        raise AudioError("permission", path, "cannot be read by this user") from None


def start_of(fh: BinaryIO) -> bytes:
    """Return the first bytes of a file after any ID3v2 tags."""
    at = 0
    while True:
        fh.seek(at)
        head = fh.read(4096)
        n_tag = _id3_length(head)
        if not n_tag:
            return head
        at += n_tag


def _id3_length(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10 or max(data[6:10]) > 0x7F:
        return 0
    a, b, c, d = data[6:10]
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def tags_length(data: bytes) -> int:
    """Return the length in bytes of the ID3 and APE tags at the start of `data`."""
    at = 0
    while rest := data[at : at + 32]:
        if rest.startswith(b"APETAGEX"):
            at += 32 + int.from_bytes(rest[12:16], "little")
        elif rest.startswith(b"TAG"):
            at += 128
        elif n_tag := _id3_length(rest):
            at += n_tag
        else:
            break
    return at


def check_is_sound(head: bytes, path: str) -> None:
    """Refuse formats that are known not to be recordings, even if a decoder might accept them.

    Raises
    ------
    AudioError
        ``unsupported_format``.
    """
    for magic, name in _NO_SOUND:
        if head.startswith(magic):
            reason = f"is {name}, which contains no readable recording; name a sound file"
            raise AudioError("unsupported_format", path, reason)


def known_container(head: bytes) -> str | None:
    """Return the name of a container with known first bytes, or None."""
    for offset, magic, name in _KNOWN:
        if head[offset : offset + len(magic)] == magic:
            return name
    return None


def check_shape(sr: int, n_channels: int, path: str, limits: AudioLimits) -> None:
    """Check rate and channels against the limits.

    Raises
    ------
    AudioError
        ``bad_rate``, ``channels``.
    """
    if not limits.min_sr <= sr <= limits.max_sr:
        rule = f"is outside {limits.min_sr}-{limits.max_sr} Hz"
        raise AudioError("bad_rate", path, f"its sample rate of {sr} Hz {rule}; convert it first")
    if not 1 <= n_channels <= limits.max_channels:
        rule = f"at most {limits.max_channels} are read; mix it down first"
        raise AudioError("channels", path, f"has {n_channels} channels, {rule}")
