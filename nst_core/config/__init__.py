"""Configuration of the sound, with every default in one place.

The dataclasses are frozen and check their values when they are created. They are also the
flow parameters, and their canonical JSON is part of every cache key.
"""

from nst_core.config.sound import (
    HIGHEST_LUFS,
    LEVEL,
    LOSSY,
    LOWEST_LUFS,
    SUBTYPES,
    AudioFormat,
    AudioLimits,
    MelConfig,
    OutputConfig,
    Subtype,
)
from nst_core.config.training import (
    ClassifierConfig,
    ClassifierKind,
    SegmentConfig,
    TrainingConfig,
)
from nst_core.config.transfer import (
    DEFAULT_PRESET,
    DEFAULT_STRENGTH,
    PRESETS,
    CarrierConfig,
    InversionConfig,
    Start,
    TransferConfig,
    check_strength,
    preset,
)

__all__ = [
    "DEFAULT_PRESET",
    "DEFAULT_STRENGTH",
    "HIGHEST_LUFS",
    "LEVEL",
    "LOSSY",
    "LOWEST_LUFS",
    "PRESETS",
    "SUBTYPES",
    "AudioFormat",
    "AudioLimits",
    "CarrierConfig",
    "ClassifierConfig",
    "ClassifierKind",
    "InversionConfig",
    "MelConfig",
    "OutputConfig",
    "SegmentConfig",
    "Start",
    "Subtype",
    "TrainingConfig",
    "TransferConfig",
    "check_strength",
    "preset",
]
