"""Closed-form transfer of a track of any length, in bounded memory.

Apart from a few means over the track, `nst_core.carrier.stretch` depends only on one second
around a moment. Two passes compute these means first. Stretches that are carried with a second
around them then equal the result for the whole track, so there are no audible joins.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.carrier.band_target import BandLevels, Contour, band_powers, unexpanded_target
from nst_core.carrier.stretch import carrier
from nst_core.config import CarrierConfig
from nst_core.config.weights import Weights
from nst_core.streaming.arrays import Sliceable, Spool
from nst_core.streaming.windows import Stretch, stretches

_FORGOTTEN = 13
"""Widths after which the recursive smoothing has fallen to 1e-8."""
_GAUSSIAN_ENDS = 4
"""Standard deviations at which scipy cuts a Gaussian off."""


def reach(config: CarrierConfig) -> int:
    """Return how many samples around a moment affect its carrier, apart from track means."""
    smoothing = _FORGOTTEN * config.edge_frames + _GAUSSIAN_ENDS * 3
    slowest = max(config.texture_frames, config.swell_frames if config.swell else 0)
    grain = _GAUSSIAN_ENDS * slowest
    target = max(smoothing, grain) + _GAUSSIAN_ENDS * config.expand_frames
    excitation = config.n_fft + config.whiten_frames * config.hop_length + config.blend_n_fft
    passes = (config.n_impositions + 2) * (config.n_fft + config.band_n_fft)
    return math.ceil(target) * config.band_hop_length + excitation + passes


def carry(
    music: Sliceable,
    ambience: Sliceable,
    sr: int,
    config: CarrierConfig,
    *,
    weights: Sequence[Weights],
    longest: int,
    scratch: Path | None = None,
) -> list[Sliceable]:
    """Apply `nst_core.carrier.stretch.carrier` to a whole track, in stretches if it is long.

    Parameters are those of that function, and the following.

    Parameters
    ----------
    longest
        Maximum number of samples that are carried at once.
    scratch
        Folder for long results; if None, they stay in memory.

    Returns
    -------
    One of shape (n_samples,), float32, per weight
        `longest` changes it by less than 1e-4 of the RMS.
    """
    # Frames of all hops, and pairs of frames, start at the start of a stretch.
    grid = 2 * math.lcm(config.hop_length, config.band_hop_length)
    parts = stretches(len(music), longest, reach(config), grid)
    if len(parts) == 1:
        return [*carrier(music[:], ambience[:], sr, config, weights=weights)]
    levels = _band_levels(music, ambience, sr, config, parts)
    contour = _contour(music, ambience, sr, config, parts, levels)
    carried = [Spool(scratch) for _ in weights]
    for part in parts:
        inputs = music[part.around], ambience[part.around]
        own = [each.since(part.around.start) for each in weights]
        ys = carrier(*inputs, sr, config, weights=own, levels=levels, contour=contour)
        for whole, y in zip(carried, ys, strict=True):
            whole.add(y[part.inner])
    return [whole.whole() for whole in carried]


def _band_levels(
    music: Sliceable, ambience: Sliceable, sr: int, config: CarrierConfig, parts: list[Stretch]
) -> BandLevels:
    found, counts = [], []
    for part in parts:
        frames = part.frames(config.band_hop_length)
        of_music, of_ambience = (band_powers(y[part.around], sr, config) for y in (music, ambience))
        found.append(BandLevels.of(of_music, of_ambience, config, frames))
        counts.append(frames.stop - frames.start)

    def mean(name: str) -> FloatArray:
        means = [getattr(levels, name) for levels in found]
        average: FloatArray = np.average(means, axis=0, weights=counts).astype(np.float32)
        return average

    return BandLevels(
        music=mean("music"),
        ambience=mean("ambience"),
        texture=mean("texture"),
        texture_power=mean("texture_power"),
        peak=max(levels.peak for levels in found),
    )


def _contour(
    music: Sliceable,
    ambience: Sliceable,
    sr: int,
    config: CarrierConfig,
    parts: list[Stretch],
    levels: BandLevels,
) -> Contour:
    def totals() -> Iterator[tuple[FloatArray, float]]:
        for part in parts:
            inputs = music[part.around], ambience[part.around]
            frames = part.frames(config.band_hop_length)
            target = unexpanded_target(*inputs, sr, config, levels=levels)
            of_music = float(target.music[frames].sum(dtype=np.float64))
            yield target.transfer[frames].sum(axis=1), of_music

    of_target, of_music = zip(*totals(), strict=True)
    return Contour.of(np.concatenate(of_target), sum(of_music), config)
