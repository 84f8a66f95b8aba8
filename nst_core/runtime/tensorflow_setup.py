"""Process-wide set-up of TensorFlow; the owner of the process calls it, not an import."""

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_LEAST_THREADS = 2
_lock = threading.Lock()
_is_set_up = threading.Event()


def setup_tensorflow(n_threads: int) -> None:
    """Make TensorFlow quiet, deterministic and modest in its use of memory and threads.

    Call this before the first operation of the process. Further calls do nothing, because
    TensorFlow cannot change its number of threads after the start.

    Parameters
    ----------
    n_threads
        Threads per operation. One counts as two, which may share a core: sums are split among
        the threads, so this makes one and two give the same bytes. More may differ by rounding,
        which the optimisation amplifies.
    """
    with _lock:
        if not _is_set_up.is_set():
            _set_up(n_threads)
            _is_set_up.set()


def _set_up(n_threads: int) -> None:
    from nst_core.runtime.threads import limit_blas  # noqa: PLC0415  # SciPy takes half a second

    limit_blas()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _native_stderr_logged():
        import tensorflow as tf  # noqa: PLC0415  # seconds to import, and must follow the line above

        tf.config.threading.set_intra_op_parallelism_threads(max(n_threads, _LEAST_THREADS))
        tf.config.threading.set_inter_op_parallelism_threads(_LEAST_THREADS)
        tf.config.experimental.enable_op_determinism()
        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, enable=True)
        tf.config.list_logical_devices()


@contextmanager
def _native_stderr_logged() -> Iterator[None]:
    """Send the stderr output of C++ code to our log at debug level.

    On import, TensorFlow reports every CUDA library that it does not find, at any log level, and
    a user of a machine without a GPU may think that something failed.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                logger.debug("tensorflow: %s", line)
