"""Turn a stylisation into sound by mel gain or inversion, without TensorFlow.

If only the strength of a row changes, only this half is needed.
"""

import math
from dataclasses import replace
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
    TransferConfig,
    check_strength,
)
from nst_core.errors import SignalError
from nst_core.runtime.threads import available_threads, side_by_side, thread_budget
from nst_core.spectral.mel import mel_bank, n_frames, power_mel
from nst_core.spectral.mel_inversion import mel_to_audio
from nst_core.spectral.stft import istft, stft
from nst_core.streaming import block_sizes
from nst_core.streaming.arrays import Sliceable, derive
from nst_core.streaming.windows import Stretch, in_stretches, stretches
from nst_core.transfer.looping import Loop
from nst_core.transfer.stereo import centred, left_right, middle, pan_as, side
from nst_core.transfer.stylisation import GAIN_FLOOR, Stylisation

_STRENGTH_EXPONENT = 0.7
_NO_SIDE = 1e-3
"""A side below this share of the middle (-60 dB) is only the noise of a codec."""


def render(
    music: Sliceable,
    ambience: FloatArray,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    *,
    strength: float = DEFAULT_STRENGTH,
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
        0 to 1.
    n_threads
        Threads for transforms and inversion; does not change any sample.
    scratch
        Folder for arrays of a long piece; if None, everything stays in memory. A transfer
        that does not start from a carrier is inverted in memory.

    Returns
    -------
    shape of `music`, float32
        As long and as loud (RMS) as the music and with its panning, without frequencies below
        25 Hz. At strength 0, the music itself, bit for bit.

    Raises
    ------
    SignalError
        The stylisation has another length, or the result is not finite.
    ConfigError
        The strength is outside its range.
    """
    check_strength(strength)
    if strength == 0:
        return music
    expected = n_frames(len(music), mel), mel.n_mels
    if stylisation.gain_db.shape != expected:
        raise SignalError(
            f"the stylisation has shape {stylisation.gain_db.shape}, but music of {len(music)} "
            f"samples needs {expected}; stylise and render the same section"
        )
    clip = set_rms(to_mono(ambience), LEVEL)
    with thread_budget(n_threads):
        if len(music.shape) == 1:
            texture = Loop.of(clip, len(music), mel.sr)
            levelled = set_rms(music, LEVEL)
            y = _render_levelled(levelled, texture, stylisation, mel, config, strength, scratch)
        else:
            y = _render_stereo(music, clip, stylisation, mel, config, strength, scratch)
    if not math.isfinite(rms(y)):
        raise SignalError("the rendered waveform contains NaN or infinity", code="non_finite")
    return set_rms(without_rumble(y, mel.sr, scratch=scratch), rms(music))


def _render_stereo(
    music: Sliceable,
    clip: FloatArray,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    strength: float,
    scratch: Path | None,
) -> Sliceable:
    """Render middle and side with the same mel gain, each from its own part of the ambience."""

    def render_channel(own: Sliceable, texture: Sliceable, style: Stylisation) -> Sliceable:
        level = rms(own)
        y = _render_levelled(set_rms(own, LEVEL), texture, style, mel, config, strength, scratch)
        return set_rms(y, level)

    n, of_mid, of_side = len(music), derive(middle, music), derive(side, music)
    render_mid = partial(render_channel, of_mid, Loop.of(clip, n, mel.sr), stylisation)
    if rms(of_side) < _NO_SIDE * rms(of_mid):
        return derive(centred, render_mid())
    # A texture is uncorrelated with a part of itself that is far away.
    later = Loop.of(clip, n, mel.sr, first=len(clip) // 2)
    levelled = later.at_level(LEVEL) if config.start == "carrier" else later
    without = replace(stylisation, carriers={})  # they belong to the middle
    render_side = partial(render_channel, of_side, levelled, without)
    if strength in stylisation.carriers:  # then the middle is little work
        both = [render_mid(), render_side()]
    else:
        both = side_by_side([render_mid, render_side])
    return pan_as(derive(left_right, *both), music, mel.sr, scratch=scratch)


def _render_levelled(
    y: Sliceable,
    texture: Sliceable,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    strength: float,
    scratch: Path | None,
) -> Sliceable:
    """Render one channel at `LEVEL`; the level of the result is arbitrary."""
    weight = texture_weight(strength)
    if config.start == "carrier":
        carrier = stylisation.carriers.get(strength)
        if carrier is None:
            (carrier,) = carried(y, texture, mel, config, (weight,), scratch=scratch)
        gain_db, most = stylisation.gain_db, config.max_gain_db
        return apply_mel_gain(carrier, gain_db, mel, weight=weight, most=most, scratch=scratch)
    M = stylisation.gain_db[:].T.astype(np.float32)
    M *= np.float32(weight / 10)
    np.power(np.float32(10), M, out=M)
    M *= power_mel(y[:], mel) + np.float32(GAIN_FLOOR)
    M -= np.float32(GAIN_FLOOR)
    return mel_to_audio(
        np.maximum(M, 0, out=M),
        mel,
        config.inversion,
        n_samples=len(y),
        n_threads=available_threads(),
    )


def texture_weight(strength: float) -> float:
    """Return the ambience's share, 0 to 1, so that the texture grows evenly with strength."""
    return float(strength**_STRENGTH_EXPONENT)


def carried(
    y: Sliceable,
    texture: Sliceable,
    mel: MelConfig,
    config: TransferConfig,
    weights: tuple[float, ...],
    *,
    scratch: Path | None = None,
) -> list[Sliceable]:
    """Return the closed-form transfer, one waveform at `LEVEL` for each share of the ambience.

    Parameters
    ----------
    y, texture : shape (n_samples,), float32
        Music in mono and ambience of the same length, at `nst_core.config.LEVEL`.
    scratch
        Folder for long results; if None, they stay in memory.
    """
    found = carry(
        y,
        texture,
        mel.sr,
        config.carrier,
        weights=weights,
        longest=round(block_sizes.SIZES.carried_s * mel.sr),
        scratch=scratch,
    )
    return [set_rms(each, LEVEL) for each in found]


def apply_mel_gain(
    y: Sliceable,
    gain_db: Sliceable,
    mel: MelConfig,
    *,
    weight: float = 1.0,
    most: float = math.inf,
    scratch: Path | None = None,
) -> Sliceable:
    """Apply a mel gain to a waveform's own STFT and keep its phases.

    Parameters
    ----------
    y : shape (n_samples,), float32
    gain_db : shape (n_frames, n_mels)
        Spread to bins by the column-normalised transpose of the bank: the log gain of a bin is
        the weighted mean of its bands' log gains.
    weight
        Factor on the bounded gain in decibels.
    most
        Bound of the gain in both directions, in dB.
    scratch
        Folder for a long result; if None, it stays in memory.

    Returns
    -------
    shape (n_samples,), float32
    """
    spread = mel_bank(mel)
    spread = spread / (spread.sum(axis=0) + np.float32(1e-9))
    hop = mel.hop_length

    def mask(part: Stretch) -> FloatArray:
        x = y[part.around]
        first = part.around.start // hop
        gain = gain_db[first : first + n_frames(len(x), mel)].astype(np.float32)
        nepers = np.clip(gain, -most, most) * np.float32(weight * math.log(10) / 20)
        gain = nepers @ spread
        D = stft(x, mel.n_fft, hop)
        D *= np.exp(gain, out=gain)
        return istft(D, hop, len(x))

    longest = round(block_sizes.SIZES.carried_s * mel.sr)
    return in_stretches(mask, stretches(len(y), longest, 2 * mel.n_fft, hop), scratch=scratch)
