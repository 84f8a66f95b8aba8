"""Start of the `amnst` command as a process: it heeds signals before it imports the rest."""

import sys

from flows.cli.interruption import heed_signals, ignore_signals, interruptible


def main() -> None:
    """Run the command line and exit with its code."""
    heed_signals()
    sys.exit(interruptible(_run))


def _run() -> int:
    from flows.cli.app import run

    code = run()
    ignore_signals()
    return code
