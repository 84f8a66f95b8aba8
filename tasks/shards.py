"""How rows are cut into shards: small enough to retry, large enough to be worth a start."""

from collections.abc import Iterable
from itertools import pairwise

from nst_core.errors import NSTError
from tasks.row import ManifestRow

_SMALLEST, _LARGEST = 25, 50
"""Starting a process with TensorFlow costs ten seconds, a lost worker costs its shard."""


class ShardError(NSTError):
    """A shard that no longer belongs to its catalogue, or whose worker was lost."""


def in_shard_order(rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    """Rows that share a music side by side, within them those that share an ambience.

    Groups keep the order in which the manifest names them first, so the order follows
    from the manifest alone.
    """
    rows = list(rows)
    musics = {music: rank for rank, music in enumerate(dict.fromkeys(r.music for r in rows))}
    ambiences = {
        ambience: rank for rank, ambience in enumerate(dict.fromkeys(r.ambience for r in rows))
    }
    return sorted(rows, key=lambda row: (musics[row.music], ambiences[row.ambience], row.line))


def shard_bounds(n_rows: int, *, size: int | None, max_in_flight: int) -> list[tuple[int, int]]:
    """First row and the row after the last of each shard; all but the last of one size.

    Parameters
    ----------
    n_rows
        Of the catalogue.
    size
        Rows of a shard; None takes 25 to 50, so that a small catalogue still feeds
        many workers.
    max_in_flight
        Shards that may be open at a time.
    """
    chosen = size or min(max(-(-n_rows // (2 * max_in_flight)), _SMALLEST), _LARGEST)
    return list(pairwise([*range(0, n_rows, chosen), n_rows]))
