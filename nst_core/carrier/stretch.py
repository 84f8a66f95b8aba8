"""Make the ambience carry the music, for a stretch of the signal.

`nst_core.carrier.excitation` makes the ambience sound at the music's partials;
`nst_core.carrier.imposition` then moves its band powers to those of
`nst_core.carrier.band_target`, which have the music's slow envelope and the ambience's fast
grain. `carrier` does both, at any strength.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.carrier.band_target import BandLevels, BandTarget, Contour, band_target
from nst_core.carrier.excitation import Partials, blend_plain, excite, partials, refocus
from nst_core.carrier.imposition import impose
from nst_core.config import CarrierConfig
from nst_core.config.weights import Weights
from nst_core.runtime.threads import side_by_side


def carrier(
    music: FloatArray,
    ambience: FloatArray,
    sr: int,
    config: CarrierConfig,
    *,
    weights: Sequence[Weights],
    levels: BandLevels | None = None,
    contour: Contour | None = None,
) -> list[FloatArray]:
    """Return the closed-form transfer at one or more strengths.

    Parameters
    ----------
    music, ambience : shape (n_samples,), float32
        Same length, at `LEVEL`.
    sr
        Hz.
    weights
        Shares of the ambience. 1 is the full transfer; below 1, the music itself is mixed in at
        constant power before the target is imposed.
    levels, contour
        Statistics of the whole track, if this is a stretch of a track.

    Returns
    -------
    One waveform of shape (n_samples,), float32, per weight.
    """

    def goal() -> BandTarget:
        return band_target(music, ambience, sr, config, levels=levels, contour=contour)

    def excitation() -> tuple[Partials, FloatArray]:
        of_music = partials(music, config)
        return of_music, excite(of_music, ambience, config)

    target, (of_music, excited) = side_by_side([goal, excitation])
    peak = target.levels.peak
    if config.excitation > 0:
        alike = partial(impose, target=target.transfer, sr=sr, config=config, peak=peak)
        tonal, plain = side_by_side([partial(alike, excited), partial(alike, ambience)])
        excited = blend_plain(tonal, plain, sr, config)
    levelled = excited
    if not all(each.is_full for each in weights):
        levelled = impose(excited, target.smooth_music, sr, config, peak=peak)
    sounds = music, excited, levelled
    return side_by_side(
        [partial(_at_weight, *sounds, of_music, target, sr, config, w) for w in weights]
    )


def _at_weight(
    music: FloatArray,
    excited: FloatArray,
    levelled: FloatArray,
    of_music: Partials,
    target: BandTarget,
    sr: int,
    config: CarrierConfig,
    weights: Weights,
) -> FloatArray:
    y = excited
    if not weights.is_full:
        w = weights.at(len(music))
        y = np.sqrt(1 - w * w) * music + w * levelled
    goal = target.at(weights.at(len(target.transfer), config.band_hop_length), config)
    along = weights.at(len(of_music.level), config.hop_length)
    for i in range(config.n_impositions):
        if i:
            y = refocus(y, of_music, along, sr, config)
        y = impose(y, goal, sr, config, peak=target.levels.peak)
    return y
