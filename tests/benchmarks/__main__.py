"""`python -m tests.benchmarks [name ...]`: measure, print a table and write JSON."""

import argparse
import importlib
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

NAMES = (
    "inversion",
    "transfer",
    "loop",
    "sound",
    "controls",
    "audition",
    "start",
    "render",
    "catalog",
    "workers",
    "classifier",
)
ON_REQUEST = ("check",)
"""Not among all: see `bench_check`."""
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, *ON_REQUEST, []], help="default: all but check"
    )
    parser.add_argument("--data", type=Path, default=SHARED, help="real recordings")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--pairs", type=int, help="only so many pairs of `sound`: a quick look")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the benchmarks need real recordings; {arguments.data} is not there")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        print(f"\n== {name} ==", flush=True)
        fewer = {"n_pairs": arguments.pairs} if name == "sound" and arguments.pairs else {}
        bench = importlib.import_module(f"tests.benchmarks.bench_{name}")
        figures = bench.run(arguments.data, **fewer)
        record = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "figures": figures,
        }
        (arguments.output / f"{name}.json").write_text(json.dumps(record, indent=2), "utf-8")


if __name__ == "__main__":
    main()
