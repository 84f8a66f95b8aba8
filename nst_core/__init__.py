"""Ambience-to-music neural style transfer: arrays and local files in, the same out.

Conventions at public boundaries: waveforms ``y`` are float32 with full scale 1, shape
``(n_samples,)`` or ``(n_samples, n_channels)``; power mels ``M`` are
``(n_mels, n_frames)``, as in librosa. TensorFlow code and training data are
``(batch, n_frames, n_mels)``. Times are in seconds (``_s``), rates in Hz, levels in dB.

>>> from nst_core import read_audio, transfer_style
>>> music, rain = (read_audio(f, sr=22_050).y for f in ("tune.wav", "rain.wav"))
>>> y = transfer_style(music, rain, sr=22_050)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nst_core.audio import read_audio, write_audio
    from nst_core.config import PRESETS, OutputConfig, TransferConfig, preset
    from nst_core.model import load_classifier
    from nst_core.transfer import transfer_style

__version__ = "0.1.0"

ALGORITHM_VERSION = 6
"""Raised by every change that alters the sound: it is part of the cache keys."""

__all__ = [
    "ALGORITHM_VERSION",
    "PRESETS",
    "OutputConfig",
    "TransferConfig",
    "load_classifier",
    "preset",
    "read_audio",
    "transfer_style",
    "write_audio",
]

_HOMES = {
    "PRESETS": "config",
    "OutputConfig": "config",
    "TransferConfig": "config",
    "preset": "config",
    "read_audio": "audio",
    "write_audio": "audio",
    "load_classifier": "model",
    "transfer_style": "transfer",
}


def __getattr__(name: str) -> Any:
    """Import on first use: TensorFlow alone takes seconds, and most callers do without."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
