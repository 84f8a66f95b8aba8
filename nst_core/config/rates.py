"""Sample rates: those that sounds are kept at, and the one that a pair is worked on.

Music and ambience are kept at their own rate up to 48 kHz, so that a strength of 0 can return the
music as it was. The carrier works at 44.1 or 48 kHz, whichever the music belongs to; only the
classifier's mel is at 22,050 Hz.
"""

CD, STUDIO = 44_100, 48_000
"""The two rates that work is done at, in Hz."""
_FAMILY = 8_000
"""Rates that are multiples of it belong to 48 kHz, all others to 44.1 kHz."""


def work_rate(sr: int) -> int:
    """Return the rate at which music of the rate `sr` is worked on, in Hz."""
    return CD if sr % _FAMILY else STUDIO


def kept_rate(sr: int) -> int:
    """Return the rate at which a file of the rate `sr` is kept and its result is written, in Hz."""
    return min(sr, work_rate(sr))
