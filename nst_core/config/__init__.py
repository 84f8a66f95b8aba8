"""Configuration of the sound, with every default in one place.

The dataclasses are frozen and check their values when they are created. They are also the
flow parameters, and their canonical JSON is part of every cache key.
"""

from nst_core.config.refining import RefineConfig
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
    format_of,
)
from nst_core.config.strength import (
    DEFAULT_STRENGTH,
    Strength,
    StrengthCurve,
    check_strength,
    read_strength,
)
from nst_core.config.training import (
    ClassifierConfig,
    ClassifierKind,
    SegmentConfig,
    TrainingConfig,
)
from nst_core.config.transfer import (
    CARRIER_FIELDS,
    CONTROLS,
    DEFAULT_PRESET,
    PRESET_HELP,
    PRESETS,
    CarrierConfig,
    InversionConfig,
    Start,
    TransferConfig,
    controls,
    preset,
)

__all__ = [
    "CARRIER_FIELDS",
    "CONTROLS",
    "DEFAULT_PRESET",
    "DEFAULT_STRENGTH",
    "HIGHEST_LUFS",
    "LEVEL",
    "LOSSY",
    "LOWEST_LUFS",
    "PRESETS",
    "PRESET_HELP",
    "SUBTYPES",
    "AudioFormat",
    "AudioLimits",
    "CarrierConfig",
    "ClassifierConfig",
    "ClassifierKind",
    "InversionConfig",
    "MelConfig",
    "OutputConfig",
    "RefineConfig",
    "SegmentConfig",
    "Start",
    "Strength",
    "StrengthCurve",
    "Subtype",
    "TrainingConfig",
    "TransferConfig",
    "check_strength",
    "controls",
    "format_of",
    "preset",
    "read_strength",
]
