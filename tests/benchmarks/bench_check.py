"""The figures of `bench_sound` on recordings that no setting was chosen on.

Run it once for each version whose settings are final, and note its figures and date in this
folder's README.md. Whoever chooses a setting by it has no judge left.
"""

from pathlib import Path

from nst_core.runtime.tensorflow_setup import setup_tensorflow
from tests.benchmarks.bench_sound import (
    N_THREADS,
    ON_EVERY_PAIR,
    ear_for,
    judged,
    load_pairs,
    methods,
    print_header,
    print_worst,
)


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    pairs, ear = load_pairs(data, "check"), ear_for(data, "check")
    known = methods()
    print_header()
    results = {name: judged(name, known[name], pairs, ear)[0] for name in ON_EVERY_PAIR}
    print_worst(pairs, results["real"]["pairs"])
    return results
