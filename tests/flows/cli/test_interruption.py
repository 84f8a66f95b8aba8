"""Signals end a command as Ctrl-C does, and `nohup` still protects it."""

import signal
import subprocess
import sys

import pytest

WAIT = """
import sys, time
from flows.cli.interruption import exit_code, heed_ctrl_c, heed_sigterm
heed_ctrl_c(); heed_sigterm()
try:
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
except KeyboardInterrupt:
    sys.exit(exit_code())
"""


def _started(before: str = "") -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", before + WAIT], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(60)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_every_polite_signal_interrupts_and_has_its_exit_code(number: int, code: int) -> None:
    process = _started()
    process.send_signal(number)
    assert _ended(process) == code


def test_a_command_under_nohup_survives_the_end_of_its_terminal() -> None:
    process = _started("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert _ended(process) == 143
