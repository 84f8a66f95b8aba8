"""Turn a stylisation into sound by mel gain or inversion, without TensorFlow.

If only the strength of a row changes, only this half is needed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import rms, set_rms, to_mono
from nst_core.audio.rumble import without_rumble
from nst_core.carrier.track import carry
from nst_core.config import (
    DEFAULT_STRENGTH,
    LEVEL,
    MelConfig,
    Strength,
    StrengthCurve,
    TransferConfig,
)
from nst_core.config.rates import work_rate
from nst_core.config.weights import Weights
from nst_core.errors import SignalError
from nst_core.refine.gains import apply_band_gains
from nst_core.runtime.threads import available_threads, side_by_side, thread_budget
from nst_core.spectral.mel import n_frames, power_mel
from nst_core.spectral.mel_inversion import mel_to_audio
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable, derive, of_length
from nst_core.streaming.resampling import at_rate
from nst_core.transfer.analysis import Recording, without_offset
from nst_core.transfer.looping import Loop
from nst_core.transfer.mel_gain import apply_mel_gain
from nst_core.transfer.stereo import centred, left_right, middle, pan_as, side
from nst_core.transfer.stylisation import GAIN_FLOOR, Stylisation

_NO_SIDE = 1e-3
"""A side below this share of the middle (-60 dB) is only the noise of a codec."""
_SILENT = 0.01
"""A later part of the ambience that is 40 dB quieter is not used: the beginning is heard twice."""
_OWN_SIDE = 0.05
"""From this share of its middle (-26 dB) on, an ambience's own side is used."""


def render(
    music: Sliceable,
    ambience: Sliceable,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    *,
    strength: Strength = DEFAULT_STRENGTH,
    music_sr: int | None = None,
    ambience_sr: int | None = None,
    n_threads: int = 1,
    scratch: Path | None = None,
) -> Sliceable:
    """Turn a stylisation into sound.

    Parameters
    ----------
    music, ambience : shape (n_samples,) or (n_samples, 2), float32
        Waveforms of the analyses that were stylised.
    mel
        Mel settings of the analyses.
    config
        Configuration of the stylisation.
    strength
        0 to 1, or a curve over time.
    music_sr, ambience_sr
        Sample rates in Hz; by default ``mel.sr``.
    n_threads
        Threads for transforms and inversion; does not change any sample.
    scratch
        Folder for arrays of a long piece; if None, everything stays in memory. A transfer
        that does not start from a carrier is inverted in memory.

    Returns
    -------
    shape of `music`, float32
        At the rate of the music, as long and as loud (RMS) as it and with its panning, without
        frequencies below 25 Hz. At strength 0, the music itself, bit for bit.

    Raises
    ------
    SignalError
        The stylisation has another length, or the result is not finite.
    ConfigError
        The strength is outside its range.
    """
    curve = StrengthCurve.of(strength)
    if curve.constant == 0 or config.wet == 0:
        return music
    sounds = Recording(music, music_sr or mel.sr), Recording(ambience, ambience_sr or mel.sr)
    with thread_budget(n_threads):
        y = _rendered(*sounds, stylisation, mel, config, strength, scratch)
    if not math.isfinite(rms(y)):
        raise SignalError("the rendered waveform contains NaN or infinity", code="non_finite")
    level = rms(without_offset(music))
    y = set_rms(y, level)
    if config.wet < 1:
        y = set_rms(derive(partial(_over_dry, config.wet), y, music), level)
    return y


def _over_dry(wet: float, y: FloatArray, music: FloatArray) -> FloatArray:
    mixed: FloatArray = np.float32(wet) * y + np.float32(1 - wet) * music
    return mixed


def _rendered(
    music: Recording,
    ambience: Recording,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    strength: Strength,
    scratch: Path | None,
) -> Sliceable:
    """Return the result at the music's rate, and at an arbitrary level."""
    sr = _rate_inside(music, mel, config)
    y = at_rate(without_offset(music.y), music.sr, sr, scratch=scratch)
    _check_length(y, sr, stylisation, mel)
    clip = at_rate(without_offset(ambience.y), ambience.sr, sr, scratch=scratch)[:]
    inside = _Inside(sr, stylisation, mel, config, strength, scratch)
    if len(y.shape) == 1:
        texture = Loop.of(set_rms(to_mono(clip)), len(y), sr)
        y = _render_levelled(inside, set_rms(y), texture)
    else:
        y = _render_stereo(inside, y, clip)
    y = at_rate(without_rumble(y, sr, scratch=scratch), sr, music.sr, scratch=scratch)
    return of_length(y, len(music.y))


def _rate_inside(music: Recording, mel: MelConfig, config: TransferConfig) -> int:
    """Return the rate that work is done at: what a mel alone is turned into has the mel's."""
    return work_rate(music.sr) if config.start == "carrier" else mel.sr


def _check_length(y: Sliceable, sr: int, stylisation: Stylisation, mel: MelConfig) -> None:
    found = stylisation.gain_db
    expected = n_frames(round(len(y) * mel.sr / sr), mel), mel.n_mels
    # Lengths are rounded at each conversion of the rate.
    if found is not None and (abs(len(found) - expected[0]) > 1 or found.shape[1] != mel.n_mels):
        raise SignalError(
            f"the stylisation has shape {found.shape}, but music of {len(y) / sr:.2f} s needs "
            f"{expected}; stylise and render the same section"
        )


@dataclass(frozen=True)
class _Inside:
    """What each channel of a result is rendered with, at the rate `sr`."""

    sr: int
    stylisation: Stylisation
    mel: MelConfig
    config: TransferConfig
    strength: Strength
    scratch: Path | None

    @property
    def weights(self) -> Weights:
        """The ambience's share over time."""
        return Weights(StrengthCurve.of(self.strength), self.sr)


def _render_stereo(inside: _Inside, music: Sliceable, clip: FloatArray) -> Sliceable:
    """Render middle and side with the same mel gain, each from its own part of the ambience."""

    def render_channel(own: Sliceable, texture: Sliceable, inside: _Inside) -> Sliceable:
        level = rms(own)
        return set_rms(_render_levelled(inside, set_rms(own), texture), level)

    n, sr = len(music), inside.sr
    of_mid, of_side = derive(middle, music), derive(side, music)
    mono = set_rms(to_mono(clip))
    render_mid = partial(render_channel, of_mid, Loop.of(mono, n, sr), inside)
    if rms(of_side) < _NO_SIDE * rms(of_mid):
        return derive(centred, render_mid())
    if clip.ndim == 2 and rms(side(clip)) > _OWN_SIDE * rms(middle(clip)):
        texture = Loop.of(set_rms(side(clip)), n, sr)
    else:
        # A texture is uncorrelated with a part of itself that is far away.
        texture = Loop.of(mono, n, sr, first=len(mono) // 2)
    levelled = Loop.of(mono, n, sr) if rms(texture) < _SILENT * LEVEL else set_rms(texture)
    carriers = inside.stylisation.carriers
    without = replace(inside.stylisation, carriers={})  # they belong to the middle
    render_side = partial(render_channel, of_side, levelled, replace(inside, stylisation=without))
    if inside.strength in carriers:  # then the middle is little work
        both = [render_mid(), render_side()]
    else:
        both = side_by_side([render_mid, render_side])
    return pan_as(derive(left_right, *both), music, sr, scratch=inside.scratch)


def _render_levelled(inside: _Inside, y: Sliceable, texture: Sliceable) -> Sliceable:
    """Render one channel at `LEVEL`; the level of the result is arbitrary."""
    gain_db, mel, config = inside.stylisation.gain_db, inside.mel, inside.config
    if config.start == "carrier":
        carrier = inside.stylisation.carriers.get(inside.strength)
        if carrier is None:
            weights = [inside.weights]
            (carrier,) = carried(y, texture, inside.sr, config, weights, scratch=inside.scratch)
        if inside.stylisation.band_gains is not None:
            carrier = apply_band_gains(
                carrier,
                inside.stylisation.band_gains,
                config.refine,
                inside.weights,
                scratch=inside.scratch,
            )
        if gain_db is None:
            return carrier
        return apply_mel_gain(
            carrier,
            gain_db,
            mel,
            weights=inside.weights,
            most=config.max_gain_db,
            scratch=inside.scratch,
        )
    if gain_db is None:
        raise SignalError("a transfer without a carrier needs a stylisation with a gain")
    M = gain_db[:].T.astype(np.float32)
    M *= inside.weights.at(M.shape[1], mel.hop_length) / 10
    np.power(np.float32(10), M, out=M)
    of_music = power_mel(y[:], mel)[:, : M.shape[1]]
    M = M[:, : of_music.shape[1]]
    M *= of_music + np.float32(GAIN_FLOOR)
    M -= np.float32(GAIN_FLOOR)
    return mel_to_audio(
        np.maximum(M, 0, out=M),
        mel,
        config.inversion,
        n_samples=len(y),
        n_threads=available_threads(),
    )


def carried(
    y: Sliceable,
    texture: Sliceable,
    sr: int,
    config: TransferConfig,
    weights: Sequence[Weights],
    *,
    scratch: Path | None = None,
) -> list[Sliceable]:
    """Return the closed-form transfer, one waveform at `LEVEL` for each share of the ambience.

    Parameters
    ----------
    y, texture : shape (n_samples,), float32
        Music in mono and ambience of the same length, at `nst_core.config.LEVEL`.
    sr
        Hz.
    scratch
        Folder for long results; if None, they stay in memory.
    """
    longest = round(block_sizes.SIZES.carried_s * sr)
    found = carry(y, texture, sr, config.carrier, weights=weights, longest=longest, scratch=scratch)
    return [set_rms(each) for each in found]
