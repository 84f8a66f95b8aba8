"""`amnst serve` ends cleanly, and leaves nothing behind when it is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.server.login import lock_file, login_file, served_at
from tests.serving import AMNST, children, is_there, n_workers


@pytest.mark.e2e
def test_sigterm_ends_everything(served, serve_env):
    process, address, _, _ = served
    ours = children(process)
    assert len(ours) == 3
    process.terminate()
    assert process.wait(60) == 0
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]
    address.listen().close()  # the port is free
    lock = lock_file(Path(serve_env["PREFECT_HOME"]))
    assert lock.read_text() == "", "who listens at that address now is not known"


STOP = """
import signal
from deployments.serve import stop_signal
with stop_signal() as stop:
    print("ready", flush=True)
    stop.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_polite_signal_ends_it_cleanly(number):
    process = subprocess.Popen([sys.executable, "-c", STOP], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(60) == 0


def test_it_survives_the_end_of_its_terminal_under_nohup():
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = subprocess.Popen([sys.executable, "-c", before + STOP], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def killed(serve_env, free_port, tmp_path, eventually):
    """Log and children that `amnst serve --no-auth` leaves when it is killed with -9."""
    own = serve_env | {"PREFECT_HOME": str(tmp_path / "prefect")}
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", AMNST, "serve", "--no-auth", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=own, stdout=stream, stderr=stream)
    left = set()
    try:
        eventually(lambda: process.poll() is not None or n_workers(own) >= 2, 180)
        assert process.poll() is None, log.read_text()[-2000:]
        left = children(process)
        process.kill()
        process.wait()
        yield own, log, left
    finally:
        process.kill()
        process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # each leads a session of its own


@pytest.mark.slow
def test_server_and_workers_end_when_serve_is_killed_and_the_next_one_starts(
    killed, free_port, tmp_path, eventually
):
    own, log, left = killed
    assert len(left) == 3
    assert "warning: --no-auth: every user and program of this machine" in log.read_text()
    eventually(lambda: not [pid for pid in left if is_there(pid)], 90)
    assert served_at(Path(own["PREFECT_HOME"])) is None
    assert not login_file(Path(own["PREFECT_HOME"])).exists(), "none was asked for"
    with (tmp_path / "again").open("wb") as stream:
        command = [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())]
        again = subprocess.Popen(command, env=own, stdout=stream, stderr=stream)
    try:
        eventually(
            lambda: again.poll() is not None or "UI: " in (tmp_path / "again").read_text(), 180
        )
        assert again.poll() is None, (tmp_path / "again").read_text()
    finally:
        again.terminate()
        again.wait(60)
