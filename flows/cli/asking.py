"""Start of the commands that only ask a Prefect server."""

import sys

from flows.server.environment import prepare_prefect


def ask_server(*, patient: bool = False) -> None:
    """Prepare Prefect for a command that only asks; say so at a terminal.

    Prefect takes a second to import, and a command that says nothing for so long seems stuck.
    `patient` is as for `prepare_prefect`.
    """
    if sys.stderr.isatty():
        sys.stderr.write("asking the Prefect server\n")
    prepare_prefect(verbose=False, patient=patient)
