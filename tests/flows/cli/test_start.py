"""What every command does first: help, imports, no telemetry."""

import os
import pty
import subprocess
import sys

import pytest
import soundfile as sf

from tests.sounds import noise


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
from flows.cli.command import main
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


SLOW_MODULES = {"scipy.signal", "scipy.stats", "scipy.interpolate", "scipy.optimize", "pyloudnorm"}
"""They take longer than a short transfer."""


def imported(code, modules):
    """Return which of the modules a new process has after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*{modules} & set(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_a_transfer_imports_no_slow_module(tmp_path):
    for name in ("ambience", "music"):
        sf.write(tmp_path / f"{name}.wav", noise(seed=len(name), duration_s=1.0), 22_050)
    arguments = ["transfer", *(str(tmp_path / f"{n}.wav") for n in ("ambience", "music", "out"))]
    arguments.insert(3, "-o")
    code = f"""
from flows.cli.command import main
try:
    main({arguments})
except SystemExit as done:
    assert not done.code, done.code
"""
    assert imported(code, SLOW_MODULES | {"tensorflow", "prefect", "librosa"}) == set()
    assert (tmp_path / "out.wav").is_file()


@pytest.mark.parametrize("flow", ["render_catalog", "render_shard", "watch_inbox"])
def test_a_flow_that_renders_imports_no_slow_module(flow):
    assert imported(f"import flows.{flow}", SLOW_MODULES | {"tensorflow", "librosa"}) == set()


@pytest.mark.parametrize("command", ["plan", "check", "render", "submit", "schedule"])
def test_help_has_no_empty_options(amnst, command):
    code, out, _ = amnst(command, "--help")
    assert code == 0
    assert "--empty-" not in out
