import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has arenas to limit"
)

ARENAS = """
import ctypes, sys, threading
from nst_core.runtime.memory import limit_arenas
if "limit" in sys.argv:
    limit_arenas()
libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(12)
def allocate():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stream = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


def count_arenas(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"} | variables
    done = subprocess.run(
        [sys.executable, "-c", ARENAS, *arguments],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.count("<heap nr=")


def test_twelve_threads_share_two_arenas():
    assert count_arenas() > 2
    assert count_arenas("limit") == 2


def test_the_environment_overrides_the_limit():
    assert count_arenas("limit", MALLOC_ARENA_MAX="5") == 5
