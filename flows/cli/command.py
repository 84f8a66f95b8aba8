"""Start of the `amnst` command as a process: it heeds signals before it imports the rest."""

import sys

from flows.cli.interruption import heed_signals, ignore_signals, interruptible


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, by default this process's own, and exit with its code."""
    heed_signals()
    sys.exit(interruptible(lambda: _run(arguments)))


def _run(arguments: list[str] | None) -> int:
    from flows.cli.app import run

    code = run(arguments)
    ignore_signals()
    return code
