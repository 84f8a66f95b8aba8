"""The command in this process, which goes on and therefore does not ignore signals at the end."""

import sys

from flows.cli.app import run
from flows.cli.interruption import heed_signals, interruptible


def main(arguments: list[str]) -> None:
    """Run a command line and raise SystemExit with its code."""
    heed_signals()
    sys.exit(interruptible(lambda: run(arguments)))
