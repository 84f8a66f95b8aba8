"""The last step: rate, loudness and format of the file a listener gets."""

import math
from dataclasses import dataclass
from pathlib import Path

from nst_core.audio import loudness_lufs, resampled, set_loudness, write_audio
from nst_core.config import OutputConfig
from nst_core.levels import finite_peak
from nst_core.spool import Sliceable, Spool, blocks


@dataclass(frozen=True)
class Levels:
    """What was done to the level, and what came of it.

    Attributes
    ----------
    gain_db
        Applied by the writer to keep to ``max_peak``; 0 or below.
    peak
        Largest absolute sample before that, full scale 1.
    loudness_lufs
        Integrated loudness of the file (ITU-R BS.1770-4).
    """

    gain_db: float
    peak: float
    loudness_lufs: float


def write_master(
    path: Path, y: Sliceable, sr: int, output: OutputConfig, *, scratch: Path | None = None
) -> Levels:
    """Write a result as `output` asks.

    Parameters
    ----------
    path
        A temporary place: the file appears while it is written.
    y : shape (n_samples,) or (n_samples, 2), float32
        Full scale 1; may exceed it.
    sr
        Hz, of `y`.
    scratch
        Folder for a long piece at another rate; None: it stays in memory.

    Raises
    ------
    SignalError, ConfigError
        As `nst_core.encoding.write_audio`.
    """
    if sr != output.sample_rate:
        finite_peak(y)  # nothing that is empty or not finite can be converted
        converted = Spool(scratch)
        for stretch in resampled(blocks(y), sr, output.sample_rate):
            converted.add(stretch)
        y = converted.whole()
    if output.loudness_lufs is not None:
        y = set_loudness(y, output.sample_rate, output.loudness_lufs)
    gain = write_audio(
        path,
        y,
        output.sample_rate,
        format=output.format,
        subtype=output.subtype,
        max_peak=output.max_peak,
    )
    gain_db = 20 * math.log10(gain)
    return Levels(
        gain_db=round(gain_db, 3),
        peak=round(finite_peak(y), 4),
        loudness_lufs=round(max(loudness_lufs(y, output.sample_rate) + gain_db, -99.0), 2),
    )
