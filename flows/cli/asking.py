"""Start of the commands that only ask a Prefect server."""

import sys

from flows.server.environment import prepare_prefect


def ask_server(*, patient: bool = False, first: str = "asking the Prefect server") -> None:
    """Prepare Prefect for a command that only asks; say so at a terminal.

    Prefect takes a second to import, and a command that says nothing for so long seems stuck.
    `patient` is as for `prepare_prefect`; `first` is what the command does first.
    """
    say_at_terminal(first)
    prepare_prefect(verbose=False, patient=patient)


def say_at_terminal(text: str) -> None:
    """Print what begins now, unless stderr is a file or a pipe."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
