"""Keys of a catalogue run's artifacts: how our commands find them on the server."""


def page_key(run_id: str) -> str:
    """Return the key of a catalogue run's page; a run with a page has a report."""
    return f"catalog-{run_id}"


def progress_key(run_id: str) -> str:
    """Return the key of a catalogue run's progress bar."""
    return f"{page_key(run_id)}-progress"
