"""Result of the neural half: a mel gain at full strength, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.streaming.arrays import Sliceable
from nst_core.streaming.npz import open_arrays, save_arrays

GAIN_FLOOR = 1e-6
"""Power added to both mels before their ratio, so that silence has no gain."""


@dataclass(frozen=True)
class Stylisation:
    """Result of the neural transfer at full strength.

    Attributes
    ----------
    gain_db : shape (n_frames, n_mels), float16
        Power gain on the mel of the full-strength carrier, or on the music's mel if the
        transfer does not start from a carrier.
    content_loss, style_loss : shape (n_iterations + 1,), float32
        Losses of the first window; 1 at the other input, 0 at the goal.
    best_iteration
        Iteration whose state was kept in the first window.
    carriers : of shape (n_samples,), float32
        Available carriers of the mono mix, by strength. Not saved: each is as large as the
        gain and can be recomputed.
    """

    gain_db: Sliceable
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int
    carriers: Mapping[float, Sliceable] = field(default_factory=dict)


def save_stylisation(path: Path, stylisation: Stylisation) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    save_arrays(
        path,
        gain_db=stylisation.gain_db,
        content_loss=stylisation.content_loss,
        style_loss=stylisation.style_loss,
        best_iteration=np.int64(stylisation.best_iteration),
    )


def load_stylisation(path: Path) -> Stylisation:
    """Read a file that `save_stylisation` wrote."""
    names = "gain_db", "content_loss", "style_loss", "best_iteration"
    gain_db, content_loss, style_loss, best_iteration = open_arrays(path, *names)
    return Stylisation(gain_db, content_loss[:], style_loss[:], int(np.asarray(best_iteration)))
