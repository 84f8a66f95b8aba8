"""Result of the neural half: a mel gain at full strength, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.config import Strength
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
        transfer does not start from a carrier. None: there is no gain.
    content_loss, style_loss : shape (n_iterations + 1,), float32
        Losses of the first window; 1 at the other input, 0 at the goal. Empty without a gain.
    best_iteration
        Iteration whose state was kept in the first window.
    carriers : of shape (n_samples,), float32
        Available carriers of the mono mix at the work rate, by strength. Not saved: each is
        larger than the gain and can be recomputed.
    band_gains : shape (n_frames, n_bands), float16
        Log power gains that refine the carrier; None if it is not refined.
    """

    gain_db: Sliceable | None
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int
    carriers: Mapping[Strength, Sliceable] = field(default_factory=dict)
    band_gains: Sliceable | None = None

    @classmethod
    def without_network(
        cls, carriers: Mapping[Strength, Sliceable], band_gains: Sliceable | None = None
    ) -> "Stylisation":
        """Return the stylisation of a transfer that uses no network."""
        nothing = np.zeros(0, np.float32)
        return cls(None, nothing, nothing, 0, carriers, band_gains)


def save_stylisation(path: Path, stylisation: Stylisation) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    save_arrays(
        path,
        gain_db=_or_nothing(stylisation.gain_db),
        band_gains=_or_nothing(stylisation.band_gains),
        content_loss=stylisation.content_loss,
        style_loss=stylisation.style_loss,
        best_iteration=np.int64(stylisation.best_iteration),
    )


def load_stylisation(path: Path) -> Stylisation:
    """Read a file that `save_stylisation` wrote."""
    names = "gain_db", "content_loss", "style_loss", "best_iteration", "band_gains"
    gain_db, content_loss, style_loss, best_iteration, band_gains = open_arrays(path, *names)
    return Stylisation(
        gain_db if len(gain_db) else None,
        content_loss[:],
        style_loss[:],
        int(np.asarray(best_iteration)),
        band_gains=band_gains if len(band_gains) else None,
    )


def _or_nothing(gains: Sliceable | None) -> Sliceable:
    return np.zeros((0, 0), np.float16) if gains is None else gains
