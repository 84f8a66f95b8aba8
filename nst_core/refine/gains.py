"""Log gains that bring a carrier's grain to the ambience's and its onsets to the music's.

`refine_gains` finds them at full strength; `apply_band_gains` applies a share of them, at any
strength and to any channel. No network and no randomness is involved.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.config import RefineConfig
from nst_core.config.weights import Weights
from nst_core.refine.descent import descend
from nst_core.refine.frames import Layout
from nst_core.refine.loss import Loss, Texture
from nst_core.refine.spectrum import Spectrum
from nst_core.spectral.stft import frame_count
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable
from nst_core.streaming.windows import (
    Stretch,
    in_stretches,
    join_windows,
    stretches,
    window_bounds,
)

_LEAST_FRAMES = 24
"""Below this, lag products and onsets do not exist; so short a carrier is left as it is."""


def refine_gains(
    carrier: FloatArray, music: FloatArray, texture: FloatArray, sr: int, config: RefineConfig
) -> FloatArray:
    """Find log gains for a carrier that fits into memory.

    Parameters
    ----------
    carrier, music : shape (n_samples,), float32
        Carrier at full strength and the music that it carries, at `LEVEL`.
    texture : shape (any,), float32
        The ambience at `LEVEL`: its statistics are the goal.
    sr
        Hz.

    Returns
    -------
    shape (n_frames, n_bands), float32
        Log power gains in nepers, one frame per hop.
    """
    return _descend(carrier, music, Texture.of(texture, sr, config), sr, config)


def refine_long(
    carrier: Sliceable,
    music: Sliceable,
    texture: FloatArray,
    sr: int,
    config: RefineConfig,
    *,
    scratch: Path | None = None,
) -> Sliceable:
    """Find log gains as `refine_gains`, for music of any length in bounded memory.

    Music longer than ``window_s`` is refined window by window. All windows go to the statistics of
    the whole ambience, and their gains are cross-faded.

    Parameters
    ----------
    scratch
        Folder for a long result; if None, it stays in memory.
    """
    measured = Texture.of(texture, sr, config)
    hop, n_frames = config.hop_length, frame_count(len(music), config.hop_length)
    overlap = round(config.window_overlap_s * sr / hop)
    bounds = window_bounds(n_frames, round(config.window_s * sr / hop), overlap)

    def windows() -> Iterator[tuple[int, FloatArray]]:
        for first, last in bounds:
            # A window of n frames is centred on the samples from its first to its last frame.
            part = slice(first * hop, len(music) if last == n_frames else (last - 1) * hop)
            yield first, _descend(carrier[part], music[part], measured, sr, config)

    return join_windows(windows(), n_frames, overlap, scratch=scratch)


def _descend(
    carrier: FloatArray, music: FloatArray, texture: Texture, sr: int, config: RefineConfig
) -> FloatArray:
    shape = frame_count(len(carrier), config.hop_length), texture.powers.shape[1]
    gains = np.zeros(shape, np.float32)
    if not config.n_steps or min(shape[0], len(texture.powers)) < _LEAST_FRAMES:
        return gains
    loss = Loss.of(carrier, music, texture, sr, config)
    start, gradient = loss.value_and_gradient(gains)
    trust = float(np.clip((start.style - config.settled) / config.settled, 0, 1))
    if trust == 0:
        return gains

    found = descend(
        lambda tried: loss.value_and_gradient(tried)[1],
        gains,
        gradient,
        n_steps=config.n_steps,
        rate=config.rate,
    )
    found *= np.float32(trust)
    return found


def apply_band_gains(
    y: Sliceable,
    gains: Sliceable,
    config: RefineConfig,
    weights: Weights,
    *,
    scratch: Path | None = None,
) -> Sliceable:
    """Scale a waveform in time and frequency by a share of log gains, with its own phases.

    Parameters
    ----------
    y : shape (n_samples,), float32
        The carrier that was refined, or another one or another channel of the same length.
    gains : shape (n_frames, n_bands), float32
        From `refine_gains`.
    weights
        Factor on the log gains, along time, and the rate of `y`: 0 leaves `y` as it is.
    scratch
        Folder for a long result; if None, it stays in memory.

    Returns
    -------
    shape (n_samples,), float32
    """
    layout = Layout.of(config.n_fft, config.hop_length, config.n_bands, weights.sr)
    longest = round(block_sizes.SIZES.carried_s * weights.sr)
    grid = 2 * config.hop_length  # pairs of frames start at the start of a stretch
    parts = stretches(len(y), longest, 2 * config.n_fft, grid)
    return in_stretches(partial(_scaled, y, gains, layout, weights), parts, scratch=scratch)


def _scaled(
    y: Sliceable, gains: Sliceable, layout: Layout, weights: Weights, part: Stretch
) -> FloatArray:
    x = y[part.around]
    first = part.around.start // layout.hop_length
    of_part = gains[first : first + frame_count(len(x), layout.hop_length)].astype(np.float32)
    of_part *= weights.since(part.around.start).at(len(of_part), layout.hop_length)[:, None]
    return Spectrum.of(x, layout).waveform(of_part)
