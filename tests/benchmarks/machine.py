"""The best that this machine can do: the peaks with which stages are compared."""

import time

import numpy as np


def best(action, repeats=5):
    """Return the least seconds of some calls, after one warm-up call."""
    action()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def peak_gflops(n=2048):
    """Return the GFLOP/s of a product of two large float32 matrices in TensorFlow."""
    import tensorflow as tf  # after the threads are set

    a = tf.ones((n, n))
    return 2 * n**3 / best(lambda: tf.linalg.matmul(a, a).numpy()) / 1e9


def peak_gb_s(n_bytes=1 << 28):
    """Return the GB/s that one thread reads and writes when it copies an array beyond any cache."""
    source, copy = np.ones(n_bytes, np.uint8), np.ones(n_bytes, np.uint8)
    return 2 * n_bytes / best(lambda: np.copyto(copy, source)) / 1e9
