"""What every command does first: help, imports, no telemetry."""

import os
import pty
import subprocess
import sys

import pytest


def test_an_unknown_command_ends_with_2(amnst):
    code, out, err = amnst("rendr", "manifest.csv")
    assert (code, out) == (2, "")
    assert "rendr" in err


def test_a_first_run_on_a_terminal_sends_no_telemetry_and_no_notice(tmp_path):
    code = """
from flows.server.environment import prepare_prefect
prepare_prefect(verbose=False)
import prefect
from prefect._internal.analytics import is_telemetry_enabled
print("counts" if is_telemetry_enabled() else "does not count")
"""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    ours, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | {"PREFECT_HOME": str(tmp_path)},
        stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(terminal)
    assert (said.strip(), done.stderr) == ("does not count", "")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["render", "--help"], ["train", "--help"], ["check", "manifest.csv"]],
    ids=" ".join,
)
def test_what_starts_no_flow_imports_neither_tensorflow_nor_prefect(arguments, catalogue):
    code = f"""
import sys
from flows.cli.app import main
try:
    main({arguments})
except SystemExit as done:
    print(done.code, {{'tensorflow', 'keras', 'prefect', 'librosa'}} & set(sys.modules))
"""
    catalogue.write()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=catalogue.manifest.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] in {"None set()", "0 set()"}


@pytest.mark.parametrize("command", ["plan", "check", "render", "submit", "schedule"])
def test_help_has_no_empty_options(amnst, command):
    code, out, _ = amnst(command, "--help")
    assert code == 0
    assert "--empty-" not in out
