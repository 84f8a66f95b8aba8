"""S3 client of the process, and the meaning of its errors."""

import functools
import logging
import os
from typing import Any

import aiohttp
import fsspec
from botocore import exceptions as boto  # type: ignore[import-untyped]  # has no types
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # has no types

logger = logging.getLogger(__name__)

_LOST = (
    TimeoutError,
    ConnectionError,
    aiohttp.ClientError,
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    ResponseParserError,
)
"""Errors of a lost connection."""

FAILURES = (boto.BotoCoreError, boto.ClientError, *_LOST)
"""Errors of the client other than OSError."""

_BUSY = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503"}
_PRESENT = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_CONFIG = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "max_attempts": 4},
    "response_checksum_validation": "when_required",
    "s3": {"addressing_style": "path"},
}


def client() -> Any:
    """Return the process's S3 filesystem: one inherited through fork does not work."""
    return _client(os.getpid())


@functools.lru_cache(maxsize=1)
def _client(pid: int) -> Any:
    logger.debug("S3 filesystem of process %d", pid)
    filesystem = fsspec.filesystem(
        "s3",
        skip_instance_cache=True,
        use_listings_cache=False,
        config_kwargs=_CONFIG,
    )
    # botocore already retries; with both, a call to a dead server would wait 25 times.
    filesystem.retries = 1
    return filesystem


def create(uri: str, data: bytes) -> bool:
    """Create an object; return False if it already exists."""
    try:
        client().pipe_file(uri, data, mode="create")
    except FileExistsError:
        return False
    except OSError as error:
        if _code(error) in _PRESENT:
            return False
        raise
    return True


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed later: the server was unreachable or busy."""
    return isinstance(error, _LOST) or _code(error) in _BUSY


def _code(error: BaseException) -> str | None:
    response = getattr(error.__cause__ or error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
