"""Time and space that earlier pairs have taken on this machine, to estimate those of the next.

The file has one line of JSON per pair. It is a convenience: a damaged line is passed over, and a
folder that cannot be written to leaves the machine without an estimate.
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_MOST_KEPT = 400
_MOST_READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What one rendered pair has taken.

    Attributes
    ----------
    seconds
        Time of this pair's share in its batch.
    music_s
        Length of the music in seconds.
    store_bytes
        Bytes of the pair's results in the store.
    """

    preset: str
    iterations: int
    music_s: float
    seconds: float
    store_bytes: int


def remember(rates: Iterable[Rate], path: Path) -> None:
    """Add pairs to the file, and drop the oldest of them when there are many."""
    lines = [json.dumps(asdict(rate)) for rate in rates]
    if not lines:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
        if len(kept := path.read_bytes().splitlines(keepends=True)) > 2 * _MOST_KEPT:
            shorter = path.with_suffix(".new")
            shorter.write_bytes(b"".join(kept[-_MOST_KEPT:]))
            shorter.replace(path)


def recall(path: Path) -> Sequence[Rate]:
    """Return the last pairs in the file, oldest first; none if there is no file."""
    try:
        with path.open("rb") as stream:
            lines = stream.read(_MOST_READ_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []
    rates = []
    for line in lines[-_MOST_KEPT:]:
        with contextlib.suppress(ValueError, TypeError):
            rate = Rate(**json.loads(line))
            if rate.music_s > 0 and rate.seconds >= 0:
                rates.append(rate)
    return rates
