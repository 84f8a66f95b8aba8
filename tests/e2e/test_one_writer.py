"""Two renders into the same output folder, as real processes: one writes, the other is refused."""

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

N_PAIRS = 8
RENDER = """
import sys
from tasks.storage import lease
from flows.cli.command import main

lease.LEASE_S = float(sys.argv[1])
main(sys.argv[2:])
"""
LONG_S, SHORT_S = 3600.0, 4.0
"""Leases: one that no test waits for, and one that a frozen writer soon loses."""
_PATIENCE_S = 600.0


@pytest.fixture
def workplace(sounds, pairs, tmp_path):
    shutil.copytree(sounds, tmp_path / "inputs")
    pairs(tmp_path / "inputs", N_PAIRS)
    return tmp_path


@pytest.fixture
def start(workplace):
    """Start a render of all pairs at a strength, with a lease of a given length."""
    started = []

    def begin(name, *, strength, lease_s):
        keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
        environment = {each: os.environ[each] for each in keep if each in os.environ}
        environment |= {
            "AMNST_STORE_URI": "store",
            "AMNST_SCRATCH": str(workplace / "scratch"),
            "PREFECT_HOME": str(workplace / name),
        }
        command = ["render", "inputs/manifest.csv", "--output", "out", "--preset", "closed"]
        started.append(
            subprocess.Popen(
                [
                    *(sys.executable, "-c", RENDER, str(lease_s)),
                    *(*command, "--strength", str(strength)),
                ],
                cwd=workplace, env=environment, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def end(process):
    """Return exit code and stderr of a process, which must end without a signal."""
    _, err = process.communicate(timeout=_PATIENCE_S)
    assert "Traceback" not in err
    return process.returncode, " ".join(err.split())


def freeze_at_the_first_output(process, output):
    deadline = time.monotonic() + _PATIENCE_S
    while not list(output.glob("*.wav")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no output"
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    # Its threads stop one by one, and may write until then.
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert len(list(output.glob("*.wav"))) < N_PAIRS, "it was too quick to be caught at work"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def assert_whole(output, strength):
    """Check that the report lists every pair at this strength, and the existing files."""
    with (output / "results.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == N_PAIRS
    assert {row["status"] for row in rows} <= {"ok", "cached"}
    assert {float(row["strength"]) for row in rows} == {strength}
    for row in rows:
        found = Path(output, f"{row['id']}.wav").read_bytes()
        assert hashlib.sha256(found).hexdigest() == row["sha256"]
    assert not (output / ".amnst-writer").exists()


def test_a_second_render_is_refused_and_a_killed_one_continues_at_once(start, workplace):
    output = workplace / "out"
    first = start("first", strength=0.3, lease_s=LONG_S)
    freeze_at_the_first_output(first, output)
    before = contents(output)
    code, err = end(start("second", strength=1.0, lease_s=LONG_S))
    assert code == 3
    assert 'run "manifest" (' in err
    assert f"process {first.pid} on " in err
    assert "choose another folder with --output" in err
    assert err.endswith("[output_in_use]")
    assert contents(output) == before
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert (output / ".amnst-writer").exists()
    assert end(start("first", strength=0.3, lease_s=LONG_S))[0] == 0
    assert_whole(output, 0.3)


@pytest.mark.slow
def test_a_render_is_whole_after_another_one_was_refused(start, workplace):
    output = workplace / "out"
    first = start("first", strength=0.3, lease_s=LONG_S)
    freeze_at_the_first_output(first, output)
    assert end(start("second", strength=1.0, lease_s=LONG_S))[0] == 3
    first.send_signal(signal.SIGCONT)
    assert end(first)[0] == 0
    assert_whole(output, 0.3)


@pytest.mark.slow
def test_a_frozen_render_loses_the_folder_and_publishes_nothing_more(start, workplace):
    output = workplace / "out"
    first = start("first", strength=0.3, lease_s=SHORT_S)
    freeze_at_the_first_output(first, output)
    assert end(start("second", strength=1.0, lease_s=SHORT_S))[0] == 0
    assert_whole(output, 1.0)
    after = contents(output)
    first.send_signal(signal.SIGCONT)
    code, err = end(first)
    assert code == 3
    assert "has lost the folder" in err
    assert err.endswith("[lease_lost]")
    assert contents(output) == after
