"""From a stylisation to sound: parts D and the inversions, without TensorFlow.

Changing only the strength of a row needs this half alone.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.analysis import LEVEL, Analysis
from nst_core.audio import rms, set_rms
from nst_core.carrier import carrier
from nst_core.config import MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.inversion import mel_to_audio
from nst_core.mel import mel_bank, n_frames, power_mel
from nst_core.segments import join_windows, window_bounds
from nst_core.stereo import left_right, mid_side, pan_as
from nst_core.stft import FloatArray, istft, stft

GAIN_FLOOR = 1e-6
"""Power added to both mels before their ratio: silence has no gain."""

_STRENGTH_EXPONENT = 0.7
"""Warps the knob so that the texture grows evenly with it."""
_MAX_FADE_S = 1.0
_SILENT_RMS = 1e-6
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
    """

    gain_db: npt.NDArray[np.float16]
    content_loss: FloatArray
    style_loss: FloatArray
    best_iteration: int


@dataclass(frozen=True)
class Window:
    """A stretch, worked on at a time, of a track at `nst_core.analysis.LEVEL`.

    Attributes
    ----------
    start
        Sample of the track it begins with.
    frames
        Its frames of the track's mel.
    music, ambience : shape (n_samples,), float32
        The ambience looped to the music's length.
    M_music : shape (n_mels, n_frames), float32
    """

    start: int
    frames: slice
    music: FloatArray
    ambience: FloatArray
    M_music: FloatArray


def render(
    music: Analysis,
    ambience: Analysis,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    *,
    n_threads: int = 1,
) -> FloatArray:
    """Turn a stylisation into sound at ``config.strength``.

    Parameters
    ----------
    music, ambience
        The ones that were stylised.

    Returns
    -------
    shape of ``music.y``, float32
        As long and as loud as the music, and panned as it is.

    Raises
    ------
    SignalError
        If the stylisation is of another length, or the result is not finite.
    """
    if config.strength == 0:
        return music.y
    expected = n_frames(len(music.y), mel)
    if stylisation.gain_db.shape != (mel.n_mels, expected):
        raise SignalError(
            f"the stylisation has shape {stylisation.gain_db.shape}, music of {len(music.y)} "
            f"samples needs {(mel.n_mels, expected)}; stylise and render the same section"
        )
    render_one = _render_mono if music.y.ndim == 1 else _render_stereo
    with fft.set_workers(n_threads):
        y = render_one(music, ambience, stylisation, mel, config, n_threads)
    if not np.isfinite(y).all():
        raise SignalError("the rendered waveform holds NaN or infinity", code="non_finite")
    return set_rms(y, rms(music.y))


def _render_stereo(
    music: Analysis,
    ambience: Analysis,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    n_threads: int,
) -> FloatArray:
    """Middle and side with one mel gain, each from its own stretch of the ambience."""
    mid, side = mid_side(music.y)

    def render_one(own: Analysis, texture: Analysis, threads: int) -> FloatArray:
        with fft.set_workers(threads):  # which a new thread does not inherit
            y = _render_mono(own, texture, stylisation, mel, config, threads)
        return set_rms(y, rms(own.y))

    if rms(side) < _NO_SIDE * rms(mid):
        y_mid = render_one(Analysis(mid, music.M), ambience, n_threads)
        return left_right(y_mid, np.zeros_like(y_mid))
    of_side = Analysis(side, power_mel(set_rms(side, LEVEL), mel))
    later = Analysis(_from_the_middle(ambience.levelled(), len(side), mel.sr), ambience.M)
    with ThreadPoolExecutor(min(n_threads, 2)) as pool:
        each = max(1, n_threads // 2)
        of_mid = pool.submit(render_one, Analysis(mid, music.M), ambience, each)
        y_side = pool.submit(render_one, of_side, later, each).result()
        y_mid = of_mid.result()
    return pan_as(left_right(y_mid, y_side), music.y, mel.sr)


def _from_the_middle(y: FloatArray, n_samples: int, sr: int) -> FloatArray:
    """Another stretch of a texture, uncorrelated with the one that begins at its beginning."""
    middle = len(y) // 2
    return loop_to_length(y, middle + n_samples, sr)[middle:]


def _render_mono(
    music: Analysis,
    ambience: Analysis,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    n_threads: int,
) -> FloatArray:
    pieces = (
        (w.start, _render_window(w, stylisation, mel, config, n_threads))
        for w in windows(music, ambience, mel, config)
    )
    overlap = _overlap_hops(mel, config) * mel.hop_length
    return join_windows(pieces, n_samples=len(music.y), overlap=overlap)


def _render_window(
    window: Window,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    n_threads: int,
) -> FloatArray:
    gain_db = stylisation.gain_db[:, window.frames].astype(np.float32)
    weight = config.strength**_STRENGTH_EXPONENT
    if config.start == "carrier":
        limited = np.clip(gain_db, -config.max_gain_db, config.max_gain_db)
        return apply_mel_gain(carry(window, mel, config, weight), weight * limited, mel)
    M = window.M_music + np.float32(GAIN_FLOOR)
    M *= 10 ** (weight * gain_db / 10)
    M = np.maximum(M - np.float32(GAIN_FLOOR), 0)
    return mel_to_audio(M, mel, config.inversion, n_samples=len(window.music), n_threads=n_threads)


def carry(window: Window, mel: MelConfig, config: TransferConfig, weight: float) -> FloatArray:
    """The closed-form transfer of a window, as loud as its music: silence stays silent."""
    level = rms(window.music)
    if level < _SILENT_RMS:
        return np.zeros_like(window.music)
    (y,) = carrier(window.music, window.ambience, mel.sr, config.carrier, weights=(weight,))
    return set_rms(y, level)


def apply_mel_gain(y: FloatArray, gain_db: FloatArray, mel: MelConfig) -> FloatArray:
    """Inversion by gain mask: lay a mel gain on a waveform's own STFT, phases kept.

    Parameters
    ----------
    y : shape (n_samples,), float32
    gain_db : shape (n_mels, n_frames), float32
        Spread to bins by the column-normalised transpose of the bank: the log gain of a
        bin is the mean of its bands', weighted as they see it.

    Returns
    -------
    shape (n_samples,), float32
    """
    spread = mel_bank(mel).weights.T
    spread = spread / (spread.sum(axis=1, keepdims=True) + np.float32(1e-9))
    D = stft(y, mel.n_fft, mel.hop_length)
    D *= 10 ** (gain_db.T @ spread.T / 20)
    return istft(D, mel.hop_length, len(y))


def windows(
    music: Analysis, ambience: Analysis, mel: MelConfig, config: TransferConfig
) -> Iterator[Window]:
    """The windows of a transfer; one, but for very long music.

    The level is that of the whole track and the loop runs through, so that two windows
    agree where they overlap. Windows start on whole hops: their frames coincide.
    """
    y = music.levelled()
    looped = loop_to_length(ambience.levelled(), len(y), mel.sr)
    hop = mel.hop_length
    window = round(config.window_s * mel.sr / hop)
    for first, last in window_bounds(-(-len(y) // hop), window, _overlap_hops(mel, config)):
        part = slice(first * hop, min(last * hop, len(y)))
        frames = slice(first, first + n_frames(part.stop - part.start, mel))
        yield Window(part.start, frames, y[part], looped[part], music.M[:, frames])


def _overlap_hops(mel: MelConfig, config: TransferConfig) -> int:
    return round(config.window_overlap_s * mel.sr / mel.hop_length)


def loop_to_length(y: FloatArray, n_samples: int, sr: int) -> FloatArray:
    """Repeat a texture without a seam.

    End and beginning cross-fade at constant power over a second, or a quarter of the
    clip if that is shorter: two stretches of one texture are uncorrelated.

    Parameters
    ----------
    y : shape (any,), float32

    Returns
    -------
    shape (n_samples,), float32
        Begins with `y`'s beginning.
    """
    if len(y) >= n_samples:
        return y[:n_samples]
    fade = min(int(_MAX_FADE_S * sr), len(y) // 4)
    period = y[: len(y) - fade].copy()
    ramp = np.linspace(0, np.pi / 2, fade, endpoint=False, dtype=np.float32)
    period[:fade] = y[:fade] * np.sin(ramp) + y[len(y) - fade :] * np.cos(ramp)
    looped = np.resize(period, n_samples)
    looped[:fade] = y[:fade]
    return looped


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
