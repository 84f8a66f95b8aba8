"""What the C library keeps of memory that is free. Only glibc keeps so much, or has these calls."""

import ctypes
import os

_M_ARENA_MAX, _ARENAS = -8, 2


def limit_arenas() -> None:
    """Let all threads share two arenas; to be called before there are many threads.

    By default each gets one of its own, which keeps what its arrays have freed: half a
    gigabyte for a piece of four minutes, and no time is gained by it. Where the environment
    variable ``MALLOC_ARENA_MAX`` is set, the library has heard of it and that holds.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def return_freed_memory() -> None:
    """Give the system back what is kept of arrays that are gone.

    After a loop in TensorFlow that is 0.4 GB, in many pieces, which the next stage's
    arrays do not fit into.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
