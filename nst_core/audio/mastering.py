"""The last step: rate, loudness, true peak and format of the output file.

The order is: convert the rate, amplify to the target loudness, limit the true peak, write. The
limiter reduces the loudness, so the gain is raised until the result is loud enough. A sound that
has its target loudness and is below the ceiling stays unchanged.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from nst_core.audio.limiter import Limited, limit
from nst_core.audio.loudness import finite_peak, loudness_lufs
from nst_core.audio.true_peak import true_peak_dbtp
from nst_core.audio.writing import decoded, encode
from nst_core.config import LOSSY, OutputConfig
from nst_core.decoding.tags import NO_TAGS, Tags
from nst_core.errors import SignalError
from nst_core.streaming.arrays import Sliceable, spooled
from nst_core.streaming.resampling import at_rate

_CLOSE_LU = 0.1
_MOST_LIMITINGS = 4
_MOST_MAKE_UP_DB = 6.0
"""Limit on the extra gain: sparse pulses never get as loud as music, only their gaps get louder."""
_STEP = 1.5
"""Decibels per missing LU: the limiter takes back a part of every decibel."""

_TOLERANCE_DB = 0.05
_CODEC_MARGIN_DB = 0.4
"""Rough rise of a limited peak by a lossy encoder: without this margin most files need a second
encoding."""
_CODEC_LU = 0.1
"""Smallest loudness change by a codec that is compensated, once."""
_MOST_ENCODINGS = 6
_LOWEST_DB = -99.0
"""Value reported for silence, because JSON has no infinity."""


@dataclass(frozen=True)
class Levels:
    """Levels of the music and of the written file.

    Attributes
    ----------
    music_lufs
        Integrated loudness (ITU-R BS.1770-4) of the music; None if there is none.
    loudness_lufs
        Integrated loudness of the decoded file.
    true_peak_dbtp
        Highest true peak (annex 2) of the decoded file.
    limited_db
        Largest gain reduction by the limiter; 0 if it did nothing.
    sample_rate
        Sample rate of the file in Hz.
    """

    music_lufs: float | None
    loudness_lufs: float
    true_peak_dbtp: float
    limited_db: float
    sample_rate: int


def write_master(
    path: str | Path,
    y: Sliceable,
    sr: int,
    output: OutputConfig,
    *,
    music: Sliceable | None = None,
    music_sr: int | None = None,
    tags: Tags = NO_TAGS,
    scratch: Path | None = None,
) -> Levels:
    """Write a result as `output` asks.

    Parameters
    ----------
    path
        Temporary path: the file is visible while it is written.
    y : shape (n_samples,) or (n_samples, 2), float32
        Full scale 1; may exceed it.
    sr
        Sample rate of `y` and `music` in Hz.
    music : shape (n_samples,) or (n_samples, 2), float32
        Music whose loudness the file gets, unless `output` sets a loudness. `y` keeps its own
        loudness if this is None, or if one of the two is below the -70 LUFS gate. If it is `y`
        itself, every sample is written as it is, whatever its true peak.
    music_sr
        Sample rate of the music's own file in Hz, which the file gets unless `output` sets one;
        None: `sr`.
    tags
        Tags of the file.
    scratch
        Folder for a long piece; None keeps it in memory.

    Raises
    ------
    SignalError
        As in `nst_core.audio.writing.encode`; ``silent``: `output` sets a loudness, but `y` is
        silent.
    ConfigError
        As in `nst_core.audio.writing.encode`.
    """
    peak = finite_peak(y)  # refuse empty or non-finite signals before the conversion
    music_lufs = None if music is None else loudness_lufs(music, sr)
    file_sr, is_lossy = output.file_sr(music_sr or sr), output.format in LOSSY
    is_copy = y is music and sr == file_sr and output.loudness_lufs is None and peak <= 1
    if is_copy and not is_lossy:
        encode(path, y, sr, format=output.format, subtype=output.subtype, tags=tags)
        own = _finite(loudness_lufs(y, sr))
        return Levels(own, own, _finite(true_peak_dbtp(y)), 0.0, sr)
    y = at_rate(y, sr, file_sr, scratch=scratch)
    own_lufs = loudness_lufs(y, file_sr)
    target_lufs = _target(output, music_lufs, own_lufs)

    ceiling_dbtp, codec_lu = output.max_true_peak_dbtp, 0.0
    if is_lossy:
        ceiling_dbtp -= _CODEC_MARGIN_DB
    for _ in range(_MOST_ENCODINGS):
        limited, reached_lufs = _limited_to(
            target_lufs - codec_lu, y, own_lufs, file_sr, ceiling_dbtp, scratch
        )
        encode(path, limited.y, file_sr, format=output.format, subtype=output.subtype, tags=tags)
        heard, heard_lufs = limited.y, reached_lufs
        if is_lossy:  # the codec changes peaks, and the loudness of sharp attacks
            heard = spooled(decoded(path), scratch)
            heard_lufs = loudness_lufs(heard, file_sr)
        change_lu = heard_lufs - reached_lufs
        true_peak = true_peak_dbtp(heard)
        over_db = true_peak - output.max_true_peak_dbtp
        if over_db > _TOLERANCE_DB:
            ceiling_dbtp -= over_db + _TOLERANCE_DB
        elif codec_lu or not abs(change_lu) > _CODEC_LU:
            return Levels(
                music_lufs=None if music_lufs is None else _finite(music_lufs),
                loudness_lufs=_finite(heard_lufs),
                true_peak_dbtp=_finite(true_peak),
                limited_db=round(limited.limited_db, 2),
                sample_rate=file_sr,
            )
        codec_lu = change_lu
    Path(path).unlink()
    raise SignalError(
        f"the {output.format} encoder raises peaks above {output.max_true_peak_dbtp:g} dBTP, "
        "however low they are before encoding; write WAV instead"
    )


def _target(output: OutputConfig, music_lufs: float | None, own_lufs: float) -> float:
    if output.loudness_lufs is not None:
        if not math.isfinite(own_lufs):
            raise SignalError("the signal is silent, so no loudness can be set", code="silent")
        return output.loudness_lufs
    wanted = own_lufs if music_lufs is None else music_lufs
    return wanted if math.isfinite(wanted) and math.isfinite(own_lufs) else own_lufs


def _limited_to(
    target_lufs: float,
    y: Sliceable,
    own_lufs: float,
    sr: int,
    ceiling_dbtp: float,
    scratch: Path | None,
) -> tuple[Limited, float]:
    """Amplify and limit to about the target loudness; return the signal and its loudness."""
    gain_db = most_db = 0.0
    if math.isfinite(own_lufs):
        gain_db = target_lufs - own_lufs
        most_db = gain_db + _MOST_MAKE_UP_DB
    for _ in range(_MOST_LIMITINGS):
        limited = limit(y, sr, ceiling_dbtp=ceiling_dbtp, gain_db=gain_db, scratch=scratch)
        # A signal that is only amplified needs no second measurement.
        reached_lufs = loudness_lufs(limited.y, sr) if limited.limited_db else own_lufs + gain_db
        missing_lu = target_lufs - reached_lufs
        if abs(missing_lu) <= _CLOSE_LU or gain_db == most_db:
            break
        gain_db = min(gain_db + _STEP * missing_lu, most_db)
    return limited, reached_lufs


def _finite(decibels: float) -> float:
    return round(max(decibels, _LOWEST_DB), 2)
