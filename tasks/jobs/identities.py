"""Hash the inputs of a catalogue, and find those that cannot be read."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

from nst_core.errors import AudioError, NSTError, SignalError
from tasks.running.retry import patiently
from tasks.storage.errors import StorageError
from tasks.storage.files import fetch_input, sha256_file
from tasks.storage.uris import is_remote


def identify_inputs(
    uris: Iterable[str], scratch: str, *, n_threads: int = 8
) -> dict[str, str | NSTError]:
    """Return the sha256 of each input, or the reason why it cannot be read.

    A missing file fails only the rows that name it.
    """
    unique = list(dict.fromkeys(uris))
    with ThreadPoolExecutor(n_threads) as pool:
        return dict(zip(unique, pool.map(lambda uri: _identify(uri, scratch), unique), strict=True))


def identify_patiently(uris: Iterable[str], scratch: str) -> dict[str, str | NSTError]:
    """Hash inputs as `identify_inputs` does, and wait for those whose server is unreachable.

    All of them share one wait. An input that stays unreachable for some minutes keeps its error.
    """
    found = identify_inputs(uris, scratch)

    def ask() -> None:
        if away := [uri for uri, known in found.items() if _is_away(known)]:
            found.update(identify_inputs(away, scratch))
        for known in found.values():
            if _is_away(known):
                raise known

    with suppress(StorageError):  # `found` contains it
        patiently(ask)
    return found


def _is_away(known: str | NSTError) -> TypeGuard[StorageError]:
    return isinstance(known, StorageError) and known.transient


def _identify(uri: str, scratch: str) -> str | NSTError:
    try:
        if not is_remote(uri) and not Path(uri).is_file():
            kind = "is not a regular file" if Path(uri).exists() else "does not exist"
            return AudioError("not_found", uri, f"{kind}; correct the path in the manifest")
        with fetch_input(uri, Path(scratch)) as path:
            return sha256_file(path)
    except (StorageError, SignalError) as error:
        return error
    except OSError as error:
        return StorageError(uri, "read", str(error))
