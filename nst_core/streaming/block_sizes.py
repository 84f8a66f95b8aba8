"""Sizes of blocks that bound the use of memory.

They have no audible effect. Other block sizes are next to their loops: those of transforms fit
the processor's cache (`nst_core.spectral.frame_pairs`, `nst_core.spectral.bands`), those of the
metrics affect the results, and those of `nst_core.decoding` belong to another process.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """Block sizes that bound the use of memory."""

    in_memory_bytes: int = 16 << 20
    """From this size an array goes to a file: a minute and a half of a channel at 44.1 kHz."""
    elements: int = 1 << 20
    """Elements per block, if any number is possible."""
    squared_samples: int = 1 << 18
    """Samples squared in double precision, which for a whole signal would take twice its size."""
    metered_samples: int = 1 << 17
    """Samples whose true peak is measured at a time."""
    encoded_frames: int = 1 << 16
    """Frames that are encoded at a time, and decoded to check them."""
    analysed_frames: int = 2048
    """Frames whose mel is computed at a time."""
    carried_s: float = 31.0
    """Seconds that are carried at a time; a stretch also needs the samples around it."""
    panned_samples: int = 1 << 19
    """Samples that are panned at a time."""


SIZES = BlockSizes()
"""Sizes in use; every use reads them here, so that a test can replace them for all modules."""
