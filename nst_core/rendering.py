"""From a stylisation to sound: parts D and the inversions, without TensorFlow.

Changing only the strength of a row needs this half alone.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.audio import Waveform, rms, set_rms, to_mono
from nst_core.carry import carry
from nst_core.config import LEVEL, MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.inversion import mel_to_audio
from nst_core.levels import Sliceable
from nst_core.looping import Loop
from nst_core.mel import mel_bank, n_frames, power_mel
from nst_core.segments import Stretch, in_stretches, stretches
from nst_core.stereo import left_right, middle, pan_as, side
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
    gain_db : shape (n_mels, n_frames), float16
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

    gain_db: npt.NDArray[np.float16]
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int
    carriers: Mapping[float, FloatArray] = field(default_factory=dict)


def render(
    music: Waveform,
    ambience: Waveform,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    *,
    n_threads: int = 1,
) -> FloatArray:
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
    expected = n_frames(len(music), mel)
    if stylisation.gain_db.shape != (mel.n_mels, expected):
        raise SignalError(
            f"the stylisation has shape {stylisation.gain_db.shape}, music of {len(music)} "
            f"samples needs {(mel.n_mels, expected)}; stylise and render the same section"
        )
    clip = set_rms(to_mono(ambience), LEVEL)
    with fft.set_workers(n_threads):
        if music.ndim == 1:
            texture = Loop.of(clip, len(music), mel.sr)
            y = _render_levelled(set_rms(music, LEVEL), texture, stylisation, mel, config)
        else:
            y = _render_stereo(music, clip, stylisation, mel, config)
    if not math.isfinite(rms(y)):
        raise SignalError("the rendered waveform holds NaN or infinity", code="non_finite")
    return set_rms(y, rms(music), out=y)


def _render_stereo(
    music: Waveform,
    clip: FloatArray,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
) -> FloatArray:
    """Middle and side with one mel gain, each from its own stretch of the ambience."""

    def render_channel(
        of: Callable[[Waveform], FloatArray], texture: Loop, style: Stylisation
    ) -> FloatArray:
        own = of(music)
        level = rms(own)
        own = set_rms(own, LEVEL)
        y = _render_levelled(own, texture, style, mel, config)
        return set_rms(y, level, out=y)

    n = len(music)
    of_mid = partial(render_channel, middle, Loop.of(clip, n, mel.sr), stylisation)
    if rms(side(music)) < _NO_SIDE * rms(middle(music)):
        y_mid = of_mid()
        return left_right(y_mid, np.zeros_like(y_mid))
    # Far from the beginning a texture is uncorrelated with it.
    later = Loop.of(clip, n, mel.sr, first=len(clip) // 2)
    if config.start == "carrier":
        later = later.at_level(LEVEL)
    without = replace(stylisation, carriers={})  # they are of the middle
    of_side = partial(render_channel, side, later, without)
    if config.strength in stylisation.carriers:  # then the middle is little work
        y = left_right(of_mid(), of_side())
    else:
        y = left_right(*side_by_side([of_mid, of_side]))
    return pan_as(y, music, mel.sr)


def _render_levelled(
    y: FloatArray, texture: Loop, stylisation: Stylisation, mel: MelConfig, config: TransferConfig
) -> FloatArray:
    """`render` one channel at `LEVEL`; the result is at no particular one."""
    weight = texture_weight(config.strength)
    if config.start == "carrier":
        carrier = stylisation.carriers.get(config.strength)
        if carrier is None:
            (carrier,) = carried(y, texture, mel, config, (weight,))
        most = config.max_gain_db
        return apply_mel_gain(carrier, stylisation.gain_db, mel, weight=weight, most=most)
    M = stylisation.gain_db.astype(np.float32)
    M *= np.float32(weight / 10)
    np.power(np.float32(10), M, out=M)
    M *= power_mel(y, mel) + np.float32(GAIN_FLOOR)
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
    y: FloatArray,
    texture: Sliceable,
    mel: MelConfig,
    config: TransferConfig,
    weights: tuple[float, ...],
) -> list[FloatArray]:
    """The closed-form transfer, one waveform for each share of the ambience.

    Parameters
    ----------
    y, texture : shape (n_samples,), float32
        The music in mono and as much of the ambience, at `nst_core.config.LEVEL`, as the
        results are.
    """
    longest = round(_LONGEST_S * mel.sr)
    found = carry(y, texture, mel.sr, config.carrier, weights=weights, longest=longest)
    return [set_rms(each, LEVEL, out=each) for each in found]


def apply_mel_gain(
    y: FloatArray,
    gain_db: npt.NDArray[np.floating[Any]],
    mel: MelConfig,
    *,
    weight: float = 1.0,
    most: float = math.inf,
) -> FloatArray:
    """Inversion by gain mask: lay a mel gain on a waveform's own STFT, phases kept.

    Parameters
    ----------
    y : shape (n_samples,), float32
    gain_db : shape (n_mels, n_frames)
        Spread to bins by the column-normalised transpose of the bank: the log gain of a
        bin is the mean of its bands', weighted as they see it.
    weight
        Of the gain in decibels, once it is bounded.
    most
        Bound of the gain either way, in dB.

    Returns
    -------
    shape (n_samples,), float32
    """
    spread = mel_bank(mel).weights.T
    spread = spread / (spread.sum(axis=1, keepdims=True) + np.float32(1e-9))
    hop = mel.hop_length

    def mask(part: Stretch) -> FloatArray:
        x = y[part.around]
        first = part.around.start // hop
        gain = gain_db[:, first : first + n_frames(len(x), mel)].astype(np.float32)
        nepers = np.clip(gain, -most, most) * np.float32(weight * math.log(10) / 20)
        gain = nepers.T @ spread.T
        D = stft(x, mel.n_fft, hop)
        D *= np.exp(gain, out=gain)
        return istft(D, hop, len(x))

    longest = round(_LONGEST_S * mel.sr)
    return in_stretches(mask, stretches(len(y), longest, 2 * mel.n_fft, hop))


def save_stylisation(path: Path, stylisation: Stylisation) -> None:
    """Write an uncompressed ``.npz`` without pickles."""
    np.savez(
        path,
        gain_db=stylisation.gain_db,
        content_loss=stylisation.content_loss,
        style_loss=stylisation.style_loss,
        best_iteration=np.int64(stylisation.best_iteration),
    )


def load_stylisation(path: Path) -> Stylisation:
    """Read what `save_stylisation` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Stylisation(
            arrays["gain_db"],
            arrays["content_loss"],
            arrays["style_loss"],
            int(arrays["best_iteration"]),
        )
