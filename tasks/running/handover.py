"""Hand carriers over from a transfer to the inversion in the same process.

The transfer starts from a carrier and can compute the inversion's carrier with little extra
work, which saves half of the inversion's time. Carriers end with the process. If one is missing,
for example after a restart, the inversion computes the same samples itself.
`cachetools.LRUCache` would save two lines and needs the same lock.
"""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from nst_core.config import Strength
from nst_core.streaming.arrays import Sliceable

KEPT = 4
"""Number of pairs whose carriers are kept; the oldest is dropped first."""

_carriers: OrderedDict[tuple[str, Strength], Mapping[Strength, Sliceable]] = OrderedDict()
_lock = Lock()


def keep(transfer_key: str, strength: Strength, carriers: Mapping[Strength, Sliceable]) -> None:
    """Keep the carriers that a transfer made for a pair at a strength."""
    with _lock:
        _carriers[transfer_key, strength] = carriers
        while len(_carriers) > KEPT:
            _carriers.popitem(last=False)


def taken(transfer_key: str, strength: Strength) -> Mapping[Strength, Sliceable]:
    """Return the carriers and forget them; empty if there are none."""
    with _lock:
        return _carriers.pop((transfer_key, strength), {})


def forget(transfer_key: str, strength: Strength) -> None:
    """Drop the carriers, if they are still kept."""
    taken(transfer_key, strength)
