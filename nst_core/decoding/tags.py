"""Tags and cover of a sound file, read with FFmpeg.

Tags come from strangers: they may be long, hold control characters, or be damaged. What this module
returns is short, on one line, and harmless.
"""

import dataclasses
import unicodedata
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from nst_core.decoding.ffmpeg import OPTIONS
from nst_core.decoding.source import Source

MOST_COVER_BYTES = 5 << 20
"""Larger covers are left out: they would outweigh the sound."""
_MOST_CHARACTERS = 500
_MIME_TYPES = {"mjpeg": "image/jpeg", "png": "image/png"}
"""Types of the pictures that every tag format and player knows, by FFmpeg's codec."""
_OTHER_NAMES = {"track": ("track", "tracknumber"), "date": ("date", "year", "tyer")}
_NOT_SHOWN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories: control characters, surrogates, and separators of lines and paragraphs."""


@dataclass(frozen=True)
class Cover:
    """Picture of the front cover."""

    mime_type: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Tags of a sound file; a text that is empty is not there."""

    title: str = ""
    artist: str = ""
    album: str = ""
    track: str = ""
    date: str = ""
    genre: str = ""
    comment: str = ""
    cover: Cover | None = None

    @property
    def texts(self) -> dict[str, str]:
        """The texts that are not empty, by name."""
        return {name: text for name in TEXTS if (text := getattr(self, name))}

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self) | {
            "cover": self.cover
            and {"mime_type": self.cover.mime_type, "data": b64encode(self.cover.data).decode()}
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "Tags":
        """Return what `to_json` was called on."""
        cover = facts["cover"]
        return cls(
            **facts | {"cover": cover and Cover(cover["mime_type"], b64decode(cover["data"]))}
        )


TEXTS = tuple(each.name for each in dataclasses.fields(Tags) if each.name != "cover")
NO_TAGS = Tags()


def read_tags(source: Source) -> tuple[Tags, list[str]]:
    """Read the tags and the front cover; meant for a decoder process.

    Returns
    -------
    The tags, and warnings: ``cover_too_big=50MiB``, ``tags_unreadable``. Tags that cannot be read
    are not there; the sound may be whole all the same.
    """
    try:
        with av.open(source.open(), "r", options=OPTIONS, metadata_errors="replace") as container:
            tags, cover = _texts(container), _cover(container)
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError):
        return NO_TAGS, ["tags_unreadable"]
    if cover and len(cover.data) > MOST_COVER_BYTES:
        return tags, [f"cover_too_big={len(cover.data) >> 20}MiB"]
    return dataclasses.replace(tags, cover=cover), []


def one_line(text: str) -> str:
    """Return a text without control characters and line breaks, and not too long."""
    shown = (" " if unicodedata.category(each) in _NOT_SHOWN else each for each in text)
    return " ".join("".join(shown).split())[:_MOST_CHARACTERS]


def _texts(container: InputContainer) -> Tags:
    # Ogg has its tags at the stream, most others at the file.
    streams = [dict(stream.metadata) for stream in container.streams.audio[:1]]
    found = {
        name.lower(): text
        for tags in (*streams, dict(container.metadata))
        for name, text in tags.items()
    }
    named = {name: _OTHER_NAMES.get(name, (name,)) for name in TEXTS}
    texts = {
        name: one_line(next((found[each] for each in names if found.get(each)), ""))
        for name, names in named.items()
    }
    return Tags(**texts)  # type: ignore[arg-type]  # the cover is not among them


def _cover(container: InputContainer) -> Cover | None:
    for stream in container.streams.video:
        mime_type = _MIME_TYPES.get(stream.codec_context.name if stream.codec_context else "")
        if mime_type and stream.disposition & Disposition.attached_pic:
            packet = next(container.demux(stream))
            return Cover(mime_type, bytes(packet)) if packet.size else None
    return None
