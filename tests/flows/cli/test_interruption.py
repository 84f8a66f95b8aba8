"""Signals end a command as Ctrl-C does, and `nohup` still protects it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import sys, time
from flows.cli.interruption import heed_signals, ignore_signals, interruptible

def wait():
    print("ready", flush=True)
    while True:
        time.sleep(0.05)

"""
WAIT = "command = wait"
IN_CALLBACK = """
import weakref
class Module: pass
def command():
    module = Module()
    ended = weakref.ref(module, lambda _: wait())
    del module
    while True:
        time.sleep(0.05)
"""
IN_CLASS = """
class Field:
    def __set_name__(self, owner, name):
        wait()
def command():
    class Form:
        field = Field()
"""
IN_GROUP = """
import anyio
async def together():
    async with anyio.create_task_group() as group:
        wait()
def command():
    anyio.run(together)
"""
WITH_CODE_1 = """
def command():
    try:
        wait()
    except KeyboardInterrupt:
        return 1
"""
DONE = """
def command():
    ignore_signals()
    print("ready", flush=True)
    time.sleep(1)
    return 0
"""
END = """
heed_signals()
sys.exit(interruptible(command))
"""


def _started(command: str = WAIT, before: str = "") -> subprocess.Popen[bytes]:
    program = before + BEGIN + command + END
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
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
    process = _started(before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert _ended(process) == 143


@pytest.mark.parametrize(
    "command", [IN_CLASS, IN_GROUP, WITH_CODE_1], ids=["class", "group", "code 1"]
)
def test_what_a_library_makes_of_an_interruption_does_not_change_the_exit_code(
    command: str,
) -> None:
    process = _started(command)
    process.send_signal(signal.SIGTERM)
    assert _ended(process) == 143


def test_an_interruption_where_python_ignores_errors_is_repeated() -> None:
    process = _started(IN_CALLBACK)
    process.send_signal(signal.SIGTERM)
    assert _ended(process) == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_work_changes_nothing(number: int) -> None:
    process = _started(DONE)
    process.send_signal(number)
    assert _ended(process) == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_command_can_be_interrupted_while_it_is_imported(
    tmp_path: Path, number: int, code: int
) -> None:
    slow = 'import time; print("ready", flush=True)\nwhile True: time.sleep(0.05)'
    (tmp_path / "cyclopts.py").write_text(slow)
    places = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    process = subprocess.Popen(
        [sys.executable, "-c", f"{places}from flows.cli.command import main; main()"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in err
