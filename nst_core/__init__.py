"""Ambience-to-music neural style transfer of arrays and local files.

Conventions at public boundaries: waveforms ``y`` are float32 with full scale 1, shape
``(n_samples,)`` or ``(n_samples, n_channels)``; power mels ``M`` are
``(n_mels, n_frames)``, as in librosa. TensorFlow code and training data are
``(batch, n_frames, n_mels)``. Times are in seconds (``_s``), rates in Hz, levels in dB.

>>> from nst_core import transfer_style
>>> result = transfer_style("tune.wav", "rain.wav", strength=0.7)
>>> levels = result.save("rain_plays_tune.wav")
"""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_core.runtime.numba_cache import place_numba_cache

if TYPE_CHECKING:
    from nst_core.audio.mastering import write_master
    from nst_core.audio.reading import read_audio
    from nst_core.audio.writing import write_audio
    from nst_core.classifier.saving import load_classifier
    from nst_core.config import PRESETS, OutputConfig, TransferConfig, preset
    from nst_core.transfer.rendered import Rendered, transfer_style

__version__ = "0.1.0"

ALGORITHM_VERSION = 11
"""Increased by every change that alters the sound, because it is part of the cache keys."""

# Numba reads this variable when it is imported.
place_numba_cache(Path(__file__).parent, os.environ)

__all__ = [
    "ALGORITHM_VERSION",
    "PRESETS",
    "OutputConfig",
    "Rendered",
    "TransferConfig",
    "load_classifier",
    "preset",
    "read_audio",
    "transfer_style",
    "write_audio",
    "write_master",
]

_HOMES = {
    "PRESETS": "config",
    "OutputConfig": "config",
    "TransferConfig": "config",
    "preset": "config",
    "read_audio": "audio.reading",
    "write_audio": "audio.writing",
    "load_classifier": "classifier.saving",
    "Rendered": "transfer.rendered",
    "transfer_style": "transfer.rendered",
    "write_master": "audio.mastering",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use: TensorFlow takes seconds, and most callers do not need it."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, which a notebook completes, even before their first use."""
    return sorted([*__all__, "__version__"])
