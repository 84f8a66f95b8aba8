"""Fuzz one reader with coverage: ``python -m tests.soak.fuzzing TARGET FOLDER SECONDS RUNS``.

The folder keeps the inputs that reach new code, and the findings.
"""

import sys
from pathlib import Path

import atheris

PARTS = ["nst_core.decoding", "tasks", "csv", "json", "tarfile", "zipfile"]

with atheris.instrument_imports(include=PARTS):
    from tests.soak.targets import seeds, took


def main() -> None:
    """Run libFuzzer, which ends this process."""
    name, folder, seconds, runs = sys.argv[1:5]
    corpus = Path(folder, name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number:02d}").write_bytes(seed)
    options = [
        *(f"-max_total_time={seconds}", f"-runs={runs}", "-max_len=4096", "-timeout=60"),
        *("-rss_limit_mb=2048", f"-artifact_prefix={folder}/{name}-", "-print_final_stats=1"),
        "-verbosity=0",
    ]
    found = Path(folder, f"{name}.finding")

    def try_one(data: bytes) -> None:
        try:
            took(name, data)
        except BaseException:
            found.write_bytes(data)
            raise

    atheris.Setup([sys.argv[0], *options, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
