"""Adam (Kingma & Ba 2015) for a fixed number of steps, on arrays.

Element-wise step sizes matter here: the loss is far steeper in the gains of loud and crowded
moments than elsewhere. After 6 evaluations, Adam is further than limited-memory BFGS after 16.
"""

import math
from collections.abc import Callable

import numpy as np

from nst_core.arrays import FloatArray

_MOMENTUM = 0.7
"""Lower than the usual 0.9, which overshoots within so few steps."""
_AVERAGING = 0.99
_LAST_SHARE = 0.1
_LEAST = 1e-2
"""Share of the first gradient's root mean square, below which a gain hardly matters and moves less.
Relative, because gradients fall with the length of the music."""


def descend(
    slope: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    gradient: FloatArray,
    *,
    n_steps: int,
    rate: float,
) -> FloatArray:
    """Return the point after a fixed number of steps of falling length.

    Parameters
    ----------
    slope
        Function from a point to the gradient there, of the same shape.
    start : any shape, float32
    gradient
        Gradient at `start`.
    n_steps
        1 or more; the gradient is computed once less.
    rate
        Length of the first step in every element; it falls to a tenth by half a cosine.
    """
    x = start
    least = np.float32(_LEAST * math.sqrt(np.square(gradient).mean(dtype=np.float64)) + 1e-30)
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for i in range(n_steps):
        if i:
            gradient = slope(x)
        mean += np.float32(1 - _MOMENTUM) * (gradient - mean)
        square += np.float32(1 - _AVERAGING) * (gradient * gradient - square)
        falling = 0.5 * (1 + math.cos(math.pi * i / n_steps))
        length = rate * (_LAST_SHARE + (1 - _LAST_SHARE) * falling)
        length /= 1 - _MOMENTUM ** (i + 1)
        size = np.sqrt(square / np.float32(1 - _AVERAGING ** (i + 1)))
        x = x - np.float32(length) * mean / (size + least)
    return x
