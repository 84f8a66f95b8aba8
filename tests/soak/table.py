"""What an attack has found, and the table of all of them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class Outcome:
    """Counts of one attack.

    Attributes
    ----------
    tried, survived, refused
        Attacks; those after which all was as before or healed; those refused with a reason.
    lost, wrong
        Results that were there and are gone, or that differ from what they should be.
    remark
        Why it was not tried, or what failed.
    """

    name: str
    tried: int = 0
    survived: int = 0
    refused: int = 0
    lost: int = 0
    wrong: int = 0
    remark: str = ""

    @property
    def is_bad(self) -> bool:
        """Return whether something was lost or wrong, or an attack ended in none of the ways."""
        return bool(self.lost or self.wrong or self.tried != self.survived + self.refused)


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the table, with the sums in its last line."""
    found = list(outcomes)
    names = ("tried", "survived", "refused", "lost", "wrong")
    total = Outcome("all", *(sum(getattr(each, name) for each in found) for name in names))
    width = max(len(each.name) for each in [*found, total])
    lines = [f"{'attack':{width}}  {'  '.join(f'{name:>8}' for name in names)}"]
    for each in [*found, total]:
        counts = "  ".join(f"{getattr(each, name):8d}" for name in names)
        lines.append(f"{each.name:{width}}  {counts}  {each.remark}".rstrip())
    return "\n".join(lines)
