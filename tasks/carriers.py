"""Carriers on their way from a transfer to the inversion in the same process.

The transfer begins with a carrier, and makes the one that the inversion needs with little more
work: half the inversion's time. They are gone with the process. Where one is missing, after
a restart say, the inversion computes the same samples itself.
"""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from nst_core.spool import Sliceable

KEPT = 4
"""No more pairs wait for their inversion; the oldest goes."""

_carriers: OrderedDict[tuple[str, float], Mapping[float, Sliceable]] = OrderedDict()
_lock = Lock()


def keep(transfer_key: str, strength: float, carriers: Mapping[float, Sliceable]) -> None:
    """Remember the carriers that a transfer made for a pair of some strength."""
    with _lock:
        _carriers[transfer_key, strength] = carriers
        while len(_carriers) > KEPT:
            _carriers.popitem(last=False)


def taken(transfer_key: str, strength: float) -> Mapping[float, Sliceable]:
    """Hand carriers over and forget them; none if they are not here."""
    with _lock:
        return _carriers.pop((transfer_key, strength), {})


def forget(transfer_key: str, strength: float) -> None:
    """Let go of carriers, if they are still here."""
    taken(transfer_key, strength)
