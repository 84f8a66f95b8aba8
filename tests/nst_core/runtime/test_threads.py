"""Threads of a computation: those of matrix products, in a fresh process for each claim."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
N_BLAS = """
import threading
from nst_core.runtime.threads import limit_blas, side_by_side, thread_budget
from threadpoolctl import threadpool_info

def n_blas():
    found = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
    assert len(found) == 1, found
    return found.pop()
"""
FOR_GOOD = "limit_blas(); print(n_blas())"
FOR_A_WHILE = """
before = n_blas()
with thread_budget(2):
    within = side_by_side([n_blas, n_blas])
print(before, *within, n_blas())
"""
LAST_ONE_OUT = """
def come_and_go():
    with thread_budget(1):
        pass

with thread_budget(1):
    other = threading.Thread(target=come_and_go)
    other.start()
    other.join()
    one_left = n_blas()
print(one_left, n_blas())
"""


def run(code: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", N_BLAS + code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip


def test_matrix_products_get_one_thread_in_a_process_that_only_renders():
    assert run(FOR_GOOD) == ["1"]


def test_matrix_products_get_one_thread_while_a_budget_lasts_and_theirs_afterwards():
    assert run(FOR_A_WHILE) == ["2", "1", "1", "2"]


def test_the_last_budget_that_ends_gives_the_threads_back():
    assert run(LAST_ONE_OUT) == ["1", "2"]
