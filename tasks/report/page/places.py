"""Places on the listening page: relative URLs of sounds, and names of the files in ``listen/``.

All names follow from columns of the report, so that the page can be made from it alone.
"""

import os
import posixpath
from urllib.parse import quote

from tasks.jobs.listen import PREVIEW_S
from tasks.storage.uris import absolute, is_remote, local_text

PAGE = "index.html"
FOLDER = "listen"
_PLAYED = {".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm"}
"""Suffixes of the formats that browsers play."""
_DIGITS = 20


def page_beside(report: str) -> str:
    """Return the place of the page that stands beside a report."""
    return f"{report.removesuffix(posixpath.basename(report))}{PAGE}"


def link_to(place: str, output_uri: str) -> str:
    """Return the URL of a sound relative to the output folder; empty if a browser can't play it.

    A browser reaches a local file from a local output, and an object from an output in the same
    bucket.
    """
    if not place or posixpath.splitext(place)[1].lower() not in _PLAYED:
        return ""
    if is_remote(place) != is_remote(output_uri):
        return ""
    if not is_remote(place):
        return url(os.path.relpath(local_text(absolute(place)), local_text(absolute(output_uri))))
    bucket, key = _split(place)
    own_bucket, folder = _split(output_uri.rstrip("/") + "/")
    return url(posixpath.relpath(f"/{key}", f"/{folder}")) if bucket == own_bucket else ""


def url(relative_path: str) -> str:
    """Return a path as a relative URL: no character of a file name means anything in it."""
    return quote(os.fsencode(relative_path))


def picture_name(sha256: str) -> str:
    """Return the name of a result's picture, relative to the output folder."""
    return f"{FOLDER}/{sha256[:_DIGITS]}.webp"


def music_preview_name(sha256: str, start_s: float, duration_s: float) -> str:
    """Return the name of the preview of a section of a music file."""
    return f"{FOLDER}/{sha256[:_DIGITS]}-{start_s:g}-{min(duration_s, PREVIEW_S):.0f}.mp3"


def ambience_preview_name(sha256s: list[str], result_sha256: str) -> str:
    """Return the name of the preview of an ambience; a blend has one per result."""
    if len(sha256s) == 1:
        return f"{FOLDER}/{sha256s[0][:_DIGITS]}.mp3"
    return f"{FOLDER}/{result_sha256[:_DIGITS]}-ambience.mp3"


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
