"""TensorFlow's process-wide set-up: called by whoever owns the process, never on import."""

import os
from functools import lru_cache


@lru_cache(maxsize=1)
def setup_tensorflow(n_threads: int) -> None:
    """Make TensorFlow quiet, deterministic, and a modest neighbour.

    Must come before the first operation of the process; further calls do nothing.

    Parameters
    ----------
    n_threads
        Of one operation. Independent operations do not run side by side, so that a
        result does not depend on which one finishes first.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf  # noqa: PLC0415  # seconds to import, and must follow the line above

    tf.config.threading.set_intra_op_parallelism_threads(n_threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, enable=True)
