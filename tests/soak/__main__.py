"""Attack the store, the readers and the commands: ``python -m tests.soak [--minutes N] [NAME...]``.

Every attack gets its share of the time. The table at the end counts what was tried; the command
exits with 1 if a result was lost or wrong, or an attack ended in a traceback or a hang.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Prefect reads its environment when it is imported.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="amnst-soak-prefect-")
os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"

from tests.soak import (
    clocks,
    command_disks,
    damage,
    disks,
    numbers,
    readers,
    server_signals,
    signals,
    writers,
)
from tests.soak.table import Outcome, table

Attack = Callable[[float, Path], Iterator[Outcome]]

ATTACKS: dict[str, tuple[Attack, float]] = {
    "writers": (writers.attack, 0.2),
    "damage": (damage.attack, 0.1),
    "disks": (disks.attack, 0.05),
    "command_disks": (command_disks.attack, 0.15),
    "clocks": (clocks.attack, 0.05),
    "readers": (readers.attack, 0.2),
    "numbers": (numbers.attack, 0.2),
    "signals": (signals.attack, 0.25),
    "server_signals": (server_signals.attack, 0.2),
}
"""Attacks, and the share of the time that each gets."""


def main() -> int:
    """Run the attacks one after the other, and print the table."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ATTACKS))
    parser.add_argument("--minutes", type=float, default=30)
    given = parser.parse_args()
    chosen = given.names or list(ATTACKS)
    if unknown := set(chosen) - set(ATTACKS):
        parser.error(f"there is no attack {', '.join(sorted(unknown))}")
    logging.disable()  # thousands of warnings are expected
    whole = sum(ATTACKS[name][1] for name in chosen)
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="amnst-soak-") as folder:
        for name in chosen:
            attack, share = ATTACKS[name]
            give_up = time.monotonic() + 60 * given.minutes * share / whole
            (place := Path(folder, name)).mkdir()
            for outcome in attack(give_up, place):
                sys.stderr.write(f"{table([outcome]).splitlines()[1]}\n")
                found.append(outcome)
    print(table(found))
    return int(any(each.is_bad for each in found))


if __name__ == "__main__":
    sys.exit(main())
