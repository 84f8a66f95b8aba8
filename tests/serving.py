"""`amnst serve` as a process: how it is started, and what it has started."""

from pathlib import Path

from deployments.local_server import log_file

AMNST = "from flows.cli.command import main; main()"


def children(process):
    """Process ids of the server and of the workers."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return {int(pid) for pid in path.read_text().split()}


def n_workers(environment):
    """Number of workers that have said in the log that they have started."""
    log = log_file(Path(environment["PREFECT_HOME"]))
    return log.read_text("utf-8").count("Worker '") if log.exists() else 0


def is_there(pid):
    """Return whether a process runs; one that nobody has waited for is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
