"""What this machine reaches at its best: the peaks that a stage's share is told of."""

import time

import numpy as np


def best(action, repeats=5):
    """Least seconds of some calls, after one that warms up."""
    action()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def peak_gflops(n=2048):
    """Of a product of two large float32 matrices in TensorFlow, with the threads it has."""
    import tensorflow as tf  # after the threads are set

    a = tf.ones((n, n))
    return 2 * n**3 / best(lambda: tf.linalg.matmul(a, a).numpy()) / 1e9


def peak_gb_s(n_bytes=1 << 28):
    """Read and written by one thread that copies an array too large for any cache."""
    source, copy = np.ones(n_bytes, np.uint8), np.ones(n_bytes, np.uint8)
    return 2 * n_bytes / best(lambda: np.copyto(copy, source)) / 1e9
