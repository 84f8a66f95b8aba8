"""From a stylisation to sound: parts D and the inversions, without TensorFlow.

Changing only the strength of a row needs this half alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy import fft

from nst_core.audio import rms, set_rms, to_mono
from nst_core.carry import carry
from nst_core.config import LEVEL, MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.inversion import mel_to_audio
from nst_core.looping import Loop
from nst_core.mel import mel_bank, n_frames, power_mel
from nst_core.segments import Stretch, in_stretches, stretches
from nst_core.spool import Sliceable, derive, open_arrays, save_arrays
from nst_core.stereo import centred, left_right, middle, pan_as, side
from nst_core.stft import FloatArray, istft, stft
from nst_core.threads import side_by_side

GAIN_FLOOR = 1e-6
"""Power added to both mels before their ratio: silence has no gain."""

_STRENGTH_EXPONENT = 0.7
_LONGEST_S = 30.0
"""Carried at a time: bounds memory, and changes nothing that is heard."""
_NO_SIDE = 1e-3
"""Below this share of the middle, 60 dB, a side is the noise of a codec."""


@dataclass(frozen=True)
class Stylisation:
    """What the neural transfer asks of the mel, at full strength.

    Attributes
    ----------
    gain_db : shape (n_frames, n_mels), float16
        Power gain on the mel of the full-strength carrier, or of the music where the
        transfer does not start from a carrier.
    content_loss, style_loss : shape (n_iterations + 1,), float32
        Of the first window; 1 at the other input, 0 at the goal.
    best_iteration
        The state that was kept, of the first window.
    carriers : of shape (n_samples,), float32
        Of the mono mix, by strength: those at hand. They are not saved: one is as large as
        the gain, and can be had again.
    """

    gain_db: Sliceable
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int
    carriers: Mapping[float, Sliceable] = field(default_factory=dict)


def render(
    music: Sliceable,
    ambience: FloatArray,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    *,
    n_threads: int = 1,
    scratch: Path | None = None,
) -> Sliceable:
    """Turn a stylisation into sound at ``config.strength``.

    Parameters
    ----------
    music, ambience : shape (n_samples,) or (n_samples, 2), float32
        Waveforms of the analyses that were stylised.
    mel
        Shape of the analyses.
    config
        With the strength, and where the transfer started.
    n_threads
        For transforms and inversion; changes no sample.
    scratch
        Folder for what is as long as a long piece; None: all stays in memory. A transfer
        that does not start from a carrier is inverted in memory.

    Returns
    -------
    shape of `music`, float32
        As long and as loud as the music, and panned as it is.

    Raises
    ------
    SignalError
        If the stylisation is of another length, or the result is not finite.
    """
    if config.strength == 0:
        return music
    expected = n_frames(len(music), mel), mel.n_mels
    if stylisation.gain_db.shape != expected:
        raise SignalError(
            f"the stylisation has shape {stylisation.gain_db.shape}, music of {len(music)} "
            f"samples needs {expected}; stylise and render the same section"
        )
    clip = set_rms(to_mono(ambience), LEVEL)
    with fft.set_workers(n_threads):
        if len(music.shape) == 1:
            texture = Loop.of(clip, len(music), mel.sr)
            levelled = set_rms(music, LEVEL)
            y = _render_levelled(levelled, texture, stylisation, mel, config, scratch)
        else:
            y = _render_stereo(music, clip, stylisation, mel, config, scratch)
    if not math.isfinite(rms(y)):
        raise SignalError("the rendered waveform holds NaN or infinity", code="non_finite")
    return set_rms(y, rms(music))


def _render_stereo(
    music: Sliceable,
    clip: FloatArray,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    scratch: Path | None,
) -> Sliceable:
    """Middle and side with one mel gain, each from its own stretch of the ambience."""

    def render_channel(own: Sliceable, texture: Sliceable, style: Stylisation) -> Sliceable:
        level = rms(own)
        y = _render_levelled(set_rms(own, LEVEL), texture, style, mel, config, scratch)
        return set_rms(y, level)

    n, of_mid, of_side = len(music), derive(middle, music), derive(side, music)
    render_mid = partial(render_channel, of_mid, Loop.of(clip, n, mel.sr), stylisation)
    if rms(of_side) < _NO_SIDE * rms(of_mid):
        return derive(centred, render_mid())
    # Far from the beginning a texture is uncorrelated with it.
    later = Loop.of(clip, n, mel.sr, first=len(clip) // 2)
    levelled = later.at_level(LEVEL) if config.start == "carrier" else later
    without = replace(stylisation, carriers={})  # they are of the middle
    render_side = partial(render_channel, of_side, levelled, without)
    if config.strength in stylisation.carriers:  # then the middle is little work
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
    scratch: Path | None,
) -> Sliceable:
    """`render` one channel at `LEVEL`; the result is at no particular one."""
    weight = texture_weight(config.strength)
    if config.start == "carrier":
        carrier = stylisation.carriers.get(config.strength)
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
        n_threads=fft.get_workers(),
    )


def texture_weight(strength: float) -> float:
    """Share of the ambience, 0 to 1, at a strength: the texture grows evenly with strength."""
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
    """The closed-form transfer, one waveform at `LEVEL` for each share of the ambience.

    Parameters
    ----------
    y, texture : shape (n_samples,), float32
        The music in mono and as much of the ambience, at `nst_core.config.LEVEL`, as the
        results are.
    scratch
        Folder for long results; None: they stay in memory.
    """
    found = carry(
        y,
        texture,
        mel.sr,
        config.carrier,
        weights=weights,
        longest=round(_LONGEST_S * mel.sr),
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
    """Inversion by gain mask: lay a mel gain on a waveform's own STFT, phases kept.

    Parameters
    ----------
    y : shape (n_samples,), float32
    gain_db : shape (n_frames, n_mels)
        Spread to bins by the column-normalised transpose of the bank: the log gain of a
        bin is the mean of its bands', weighted as they see it.
    weight
        Of the gain in decibels, once it is bounded.
    most
        Bound of the gain either way, in dB.
    scratch
        Folder for a long result; None: it stays in memory.

    Returns
    -------
    shape (n_samples,), float32
    """
    spread = mel_bank(mel).weights
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

    longest = round(_LONGEST_S * mel.sr)
    return in_stretches(mask, stretches(len(y), longest, 2 * mel.n_fft, hop), scratch=scratch)


def save_stylisation(path: Path, stylisation: Stylisation) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    save_arrays(
        path,
        gain_db=stylisation.gain_db,
        content_loss=stylisation.content_loss,
        style_loss=stylisation.style_loss,
        best_iteration=np.int64(stylisation.best_iteration),
    )


def load_stylisation(path: Path) -> Stylisation:
    """Read what `save_stylisation` wrote."""
    names = "gain_db", "content_loss", "style_loss", "best_iteration"
    gain_db, content_loss, style_loss, best_iteration = open_arrays(path, *names)
    return Stylisation(gain_db, content_loss[:], style_loss[:], int(np.asarray(best_iteration)))
