"""A read-only installation for a user without a home."""

import subprocess
import sys
from pathlib import Path

import pytest

from nst_core.runtime.numba_cache import place_numba_cache

NOWHERE = {"HOME": "/proc", "XDG_CACHE_HOME": "/proc/none"}


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"])
def test_a_place_that_numba_finds_itself_is_left_to_it(tmp_path, variable):
    environment = {"HOME": "/proc", variable: str(tmp_path)}
    before = dict(environment)
    place_numba_cache(Path("/proc"), environment)
    assert environment == before


def test_a_package_that_can_be_written_to_keeps_its_own_cache(tmp_path):
    environment = dict(NOWHERE)
    place_numba_cache(tmp_path, environment)
    assert environment == NOWHERE


def test_otherwise_compiled_functions_get_a_private_folder_that_is_removed(tmp_path):
    code = f"""
import os, pathlib, sys
sys.path.insert(0, {str(tmp_path)!r})
from nst_core.runtime.numba_cache import place_numba_cache
place_numba_cache(pathlib.Path("/proc"), os.environ)
import numba
@numba.njit(cache=True)
def two(): return 2
folder = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
print(two(), oct(folder.stat().st_mode), folder)
"""
    script = tmp_path / "compiled.py"
    script.write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, script], env={**NOWHERE, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    value, mode, folder = done.stdout.split()
    assert (value, mode) == ("2", "0o40700")
    assert not Path(folder).exists()
