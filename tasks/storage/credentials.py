"""Recognise passwords and signatures in texts and places, and remove them.

Texts and places reach logs, reports, the database of the Prefect server and its UI. Credentials
belong in the environment of each process.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from nst_core.errors import ConfigError

RULE = (
    "contains a login (user:password@), which logs, reports and databases would show; remove it: "
    "credentials for s3:// go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or an AWS profile"
)
"""Message for a place that `holds_login`; it never repeats the place."""

_START = re.compile(r"(?::|%(?:25)*3a)(?:/|%(?:25)*2f){2}", re.IGNORECASE)
"""The ``://`` of a URL, plain or percent-encoded any number of times."""
_URL = re.compile(rf"({_START.pattern})(\S+)", re.IGNORECASE)
_AT = re.compile(r"@|%(?:25)*40")
_SPACED = re.compile(r"(?<=://)[^/@\s:]+:(?!\d+\s)[^/@\n]*@")
"""A login whose password contains spaces, but not a port and the text after it."""
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+", re.IGNORECASE)
"""The query of a URL: it contains signatures and tokens, under names that differ by service."""
_SIGNATURE = re.compile(r"(?<=[?&])X-(?:Amz|Goog)-[^\s\"']+", re.IGNORECASE)
_NO_SCHEME = re.compile(r"(?://[^\s/@]*|[^\s/:@]+):(?!//)\S*@")
_SUSPECT = re.compile(r"://|%3a|%25|[?&]X-", re.IGNORECASE)
_ENCODED_TIMES = 3


def scrub(text: str) -> str:
    """Return a text without user:password and URL signatures.

    A password may contain ``/``, ``:`` and ``@``, as people type it: if the first part of a URL
    looks like a login, everything up to the last ``@`` before a space is removed.
    """
    if not _SUSPECT.search(text):  # true for nearly all cells of a hundred thousand rows
        return text
    text = _SPACED.sub("***", _URL.sub(_without_login, text))
    return _SIGNATURE.sub("***", _QUERY.sub(r"\1?***", text))


def _without_login(url: re.Match[str]) -> str:
    start, rest = url.groups()
    plain = _decoded(rest)
    if _is_login(plain):
        ats = list(_AT.finditer(rest))
        # Codes can be nested (`%%34%30` is `%40`), and then the end of the login is unknown.
        return f"{start}***{rest[ats[-1].end() :] if len(ats) == plain.count('@') else ''}"
    return start + _URL.sub(_without_login, rest)


def holds_login(place: str) -> bool:
    """Return whether a place or a cell seems to contain a user name and password.

    Bucket keys and file names may contain ``@`` (``s3://bucket/live@home.wav``). If the first
    part of a place contains ``:`` and a later ``@``, it cannot be told from a password and
    counts as one.
    """
    if "@" not in place and "%" not in place:
        return False
    return any(
        _NO_SCHEME.match(text) or any(map(_is_login, _rests(text)))
        for text in (place.strip(), _decoded(place.strip()))
        if "@" in text and ":" in text
    )


def refuse_login(name: str, place: str) -> None:
    """Raise ConfigError ``login_in_place`` for a place that `holds_login`.

    The message refers to it as `name` and does not repeat it.
    """
    if holds_login(place):
        raise ConfigError(f"{name} {RULE}", code="login_in_place")


def _rests(text: str) -> Iterator[str]:
    """Yield the text after each ``://``."""
    return (text[start.end() :] for start in _START.finditer(text))


def _is_login(rest: str) -> bool:
    """Return whether the text after ``://`` begins with a login."""
    first = rest.partition("/")[0]
    return "@" in first or (":" in first and "@" in rest)


def _decoded(text: str) -> str:
    for _ in range(_ENCODED_TIMES):
        text = unquote(text)
    return text
