"""Every reader of foreign bytes, fuzzed with coverage."""

import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tests.soak.table import Outcome
from tests.soak.targets import TARGETS

RUNS = 100_000
CORPUS = Path("build") / "soak"
"""Inputs that reached new code, and findings; kept for the next time."""


def attack(give_up: float, folder: Path) -> Iterator[Outcome]:
    """Fuzz each reader in a process of its own."""
    if find_spec("atheris") is None:
        yield Outcome("readers", remark="not tried: atheris is not installed")
        return
    CORPUS.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(TARGETS):
        seconds = max(give_up - time.monotonic(), 10) / (len(TARGETS) - number)
        command = ["tests.soak.fuzzing", name, str(CORPUS), str(round(seconds)), str(RUNS)]
        ended = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, check=False
        )
        told = dict(
            line.removeprefix("stat::").split(":", 1)
            for line in ended.stderr.splitlines()
            if line.startswith("stat::")
        )
        n = int(told.get("number_of_executed_units", 0))
        outcome = Outcome(f"reader, {name}", tried=n, survived=n)
        outcome.remark = f"peak {told.get('peak_rss_mb', '?').strip()} MB"
        if (CORPUS / f"{name}.finding").exists():
            outcome.survived -= 1
            outcome.remark = f"finding: {CORPUS / name}.finding"
        yield outcome
