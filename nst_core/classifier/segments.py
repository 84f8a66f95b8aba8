"""Segments of a waveform for training."""

import numpy as np

from nst_core.arrays import Waveform
from nst_core.config import SegmentConfig
from nst_core.errors import SignalError
from nst_core.streaming.windows import Bounds


def segment_samples(sr: int, config: SegmentConfig) -> int:
    """Return the samples of one segment: 66,150 at 22,050 Hz and 3 s."""
    return round(config.duration_s * sr)


def segment_bounds(n_samples: int, sr: int, config: SegmentConfig) -> list[Bounds]:
    """Cut a track into segments.

    Parameters
    ----------
    n_samples
        Length of the track.
    sr
        Hz.
    config
        Duration and overlap of segments, and how full the last one must be.

    Returns
    -------
    list of (start, stop) in samples
        All except the last are complete. The last may stop at the track's end if it is at least
        ``min_fill`` of a segment, so a track shorter than that gives none.
    """
    window = segment_samples(sr, config)
    hop = max(1, round(window * (1.0 - config.overlap)))
    bounds: list[Bounds] = []
    start = 0
    # A start inside the last complete segment would only repeat samples.
    while start < n_samples and (not bounds or bounds[-1][1] < n_samples):
        bounds.append((start, min(start + window, n_samples)))
        start += hop
    if bounds and bounds[-1][1] - bounds[-1][0] < config.min_fill * window:
        bounds.pop()
    return bounds


def cut_segments(y: Waveform, sr: int, config: SegmentConfig) -> Waveform:
    """Cut a track into segments of equal length; the last one may be padded with zeros.

    Parameters
    ----------
    y : shape (n_samples,), float32
    sr
        Hz.

    Returns
    -------
    shape (n_segments, segment_samples), float32
        No rows for a track that is shorter than ``min_fill`` of a segment.

    Raises
    ------
    SignalError
        The array has another shape.
    """
    if y.ndim != 1:
        raise SignalError(f"shape {y.shape} is not (n_samples,); mix it to mono first")
    bounds = segment_bounds(len(y), sr, config)
    segments = np.zeros((len(bounds), segment_samples(sr, config)), dtype=np.float32)
    for row, (start, stop) in zip(segments, bounds, strict=True):
        row[: stop - start] = y[start:stop]
    return segments
