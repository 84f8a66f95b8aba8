"""S3 client of the process, and the meaning of its errors."""

import functools
import logging
import os
import sys
from typing import Any

logger = logging.getLogger(__name__)

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
    import fsspec  # noqa: PLC0415  # S3's client takes a second, and most commands need none

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


def failures() -> tuple[type[Exception], ...]:
    """Return the errors of a disk or of the client, which has none before its first use."""
    if "botocore" not in sys.modules:
        return (OSError,)
    from botocore import exceptions as boto  # type: ignore[import-untyped]  # noqa: PLC0415

    return (OSError, boto.BotoCoreError, boto.ClientError, *_lost())


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed later: the server was unreachable or busy."""
    return isinstance(error, _lost()) or _code(error) in _BUSY


def _lost() -> tuple[type[Exception], ...]:
    """Return the errors of a lost connection."""
    if "botocore" not in sys.modules:
        return TimeoutError, ConnectionError
    import aiohttp  # noqa: PLC0415  # see `_client`
    from botocore import exceptions as boto  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # noqa: PLC0415

    return (
        TimeoutError,
        ConnectionError,
        aiohttp.ClientError,
        boto.ConnectionError,
        boto.HTTPClientError,
        boto.IncompleteReadError,
        ResponseParserError,
    )


def _code(error: BaseException) -> str | None:
    response = getattr(error.__cause__ or error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
