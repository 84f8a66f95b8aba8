"""The one end-to-end function, and the two halves a batch caches apart.

`stylise` is the neural part: the mel gain that the optimisation asks for at full
strength. `render` turns it into sound at any strength. `transfer_style` is both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.audio import Waveform, resample, rms, set_rms, to_mono
from nst_core.carrier import carrier
from nst_core.config import MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.inversion import mel_to_audio
from nst_core.mel import check_signal, compress, expand, mel_bank, n_frames, power_mel
from nst_core.model import Classifier, load_classifier
from nst_core.optimize import Optimised, optimise
from nst_core.segments import join_windows, window_bounds
from nst_core.stft import FloatArray, istft, stft

ALGORITHM_VERSION = 1
"""Raised by every change that alters the sound: it is part of the cache keys."""

LEVEL = 0.1
"""RMS at which music and ambience meet."""

_STRENGTH_EXPONENT = 0.7
"""Warps the knob so that the texture grows evenly with it."""
_GAIN_FLOOR = 1e-6
"""Power added to both mels before their ratio: silence has no gain."""
_MAX_FADE_S = 1.0


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


def transfer_style(
    y_music: Waveform,
    y_ambience: Waveform,
    *,
    sr: int,
    config: TransferConfig | None = None,
    classifier: Classifier | None = None,
    n_threads: int = 1,
) -> FloatArray:
    """Let the ambience play the music.

    Parameters
    ----------
    y_music, y_ambience : shape (n_samples,) or (n_samples, n_channels), float32
        Full scale 1. Several channels are mixed down; a short ambience is looped.
    sr
        Hz, of both and of the result. The work is done at 22,050 Hz.
    config
        Default: the preset ``real``.
    classifier
        Default: the one that comes with the package.
    n_threads
        For transforms and inversion; changes no sample.

    Returns
    -------
    shape (n_samples,), float32
        As long and as loud (RMS) as the music; peaks may exceed full scale. At strength 0
        the mono music itself. Equal bit for bit from run to run on one machine.

    Raises
    ------
    SignalError
        If an input is empty, silent, or holds NaN or infinity.
    ConfigError
        If a layer of the configuration is not in the classifier.
    """
    config = config or TransferConfig()
    music, ambience = _mono(y_music, "music"), _mono(y_ambience, "ambience")
    if config.strength == 0:
        return music
    classifier = classifier or load_classifier()
    work_sr = classifier.mel.sr
    music_in, ambience_in = resample(music, sr, work_sr), resample(ambience, sr, work_sr)
    stylisation = stylise(music_in, ambience_in, classifier, config, n_threads=n_threads)
    y = render(music_in, ambience_in, stylisation, classifier.mel, config, n_threads=n_threads)
    y = resample(y, work_sr, sr)[: len(music)]
    return np.pad(y, (0, len(music) - len(y)))


def stylise(
    music: FloatArray,
    ambience: FloatArray,
    classifier: Classifier,
    config: TransferConfig,
    *,
    n_threads: int = 1,
) -> Stylisation:
    """Optimise the mel, at full strength whatever ``config.strength`` says.

    Parameters
    ----------
    music, ambience : shape (n_samples,), float32
        At ``classifier.mel.sr``; any length and level, not silent.

    Raises
    ------
    SignalError, ConfigError
        As `transfer_style`.
    """
    mel = classifier.mel
    u_ambience = compress(power_mel(_levelled(ambience, "ambience", mel), mel))
    gains, first = [], None
    with fft.set_workers(n_threads):
        for start, music_part, looped in _windows(music, ambience, mel, config):
            reference, begin = _starting_mels(music_part, looped, mel, config)
            optimised = optimise(
                compress(begin),
                compress(power_mel(music_part, mel)),
                compress(power_mel(looped, mel)),
                u_ambience,
                classifier.taps,
                config,
            )
            first = first or optimised
            gains.append((start // mel.hop_length, _gain_db(expand(optimised.u), reference)))
    return _stylisation(gains, first, n_frames(len(music), mel))


def _stylisation(
    gains: list[tuple[int, FloatArray]], first: Optimised | None, total_frames: int
) -> Stylisation:
    if first is None:
        raise SignalError("the music has no samples")
    gain_db = np.zeros((gains[0][1].shape[0], total_frames), np.float16)
    for start, gain in gains:
        gain_db[:, start : start + gain.shape[1]] = gain[:, : total_frames - start]
    return Stylisation(gain_db, first.content_loss, first.style_loss, first.best_iteration)


def render(
    music: FloatArray,
    ambience: FloatArray,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    *,
    n_threads: int = 1,
) -> FloatArray:
    """Turn a stylisation into sound at ``config.strength``.

    Parameters
    ----------
    music, ambience : shape (n_samples,), float32
        The ones `stylise` was given.

    Returns
    -------
    shape (n_samples,), float32
        As long and as loud as the music.

    Raises
    ------
    SignalError
        If the stylisation is of another length, or the result is not finite.
    """
    if config.strength == 0:
        return check_signal(music)
    expected = n_frames(len(music), mel)
    if stylisation.gain_db.shape != (mel.n_mels, expected):
        raise SignalError(
            f"the stylisation has shape {stylisation.gain_db.shape}, music of {len(music)} "
            f"samples needs {(mel.n_mels, expected)}; stylise and render the same section"
        )
    with fft.set_workers(n_threads):
        pieces = (
            (start, _render_window(part, looped, start, stylisation, mel, config, n_threads))
            for start, part, looped in _windows(music, ambience, mel, config)
        )
        overlap = _window_samples(mel, config)[1]
        y = join_windows(pieces, n_samples=len(music), overlap=overlap)
    if not np.isfinite(y).all():
        raise SignalError("the rendered waveform holds NaN or infinity", code="non_finite")
    return set_rms(y, rms(music))


def _render_window(
    music: FloatArray,
    looped: FloatArray,
    start: int,
    stylisation: Stylisation,
    mel: MelConfig,
    config: TransferConfig,
    n_threads: int,
) -> FloatArray:
    first = start // mel.hop_length
    gain_db = stylisation.gain_db[:, first : first + n_frames(len(music), mel)].astype(np.float32)
    weight = config.strength**_STRENGTH_EXPONENT
    if config.start == "carrier":
        (y,) = carrier(music, looped, mel.sr, config.carrier, weights=(weight,))
        limited = np.clip(gain_db, -config.max_gain_db, config.max_gain_db)
        return apply_mel_gain(set_rms(y, LEVEL), weight * limited, mel)
    M = power_mel(music, mel) + np.float32(_GAIN_FLOOR)
    M *= 10 ** (weight * gain_db / 10)
    M = np.maximum(M - np.float32(_GAIN_FLOOR), 0)
    return mel_to_audio(M, mel, config.inversion, n_samples=len(music), n_threads=n_threads)


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


def _starting_mels(
    music: FloatArray, looped: FloatArray, mel: MelConfig, config: TransferConfig
) -> tuple[FloatArray, FloatArray]:
    """The mel that the gain refers to, and the one the optimisation starts from."""
    if config.start == "carrier":
        (y,) = carrier(music, looped, mel.sr, config.carrier)
        M = power_mel(set_rms(y, LEVEL), mel)
        return M, M
    M_music = power_mel(music, mel)
    if config.start == "music":
        return M_music, M_music
    M_ambience = power_mel(looped, mel)
    if config.start == "ambience":
        return M_music, M_ambience
    if config.start == "mix":
        return M_music, 0.5 * (M_music + M_ambience)
    # Power of Gaussian noise is exponentially distributed in every bin.
    noise = np.random.default_rng(config.seed).exponential(size=M_music.shape)
    return M_music, (noise * M_music.mean(axis=1, keepdims=True)).astype(np.float32)


def _gain_db(M: FloatArray, reference: FloatArray) -> FloatArray:
    floor = np.float32(_GAIN_FLOOR)
    gain: FloatArray = 10 * np.log10((M + floor) / (reference + floor))
    return gain


def _window_samples(mel: MelConfig, config: TransferConfig) -> tuple[int, int]:
    """Window and overlap in samples, whole hops, so that frames of windows coincide."""
    hop = mel.hop_length
    return (
        round(config.window_s * mel.sr / hop) * hop,
        round(config.window_overlap_s * mel.sr / hop) * hop,
    )


def _windows(
    music: FloatArray, ambience: FloatArray, mel: MelConfig, config: TransferConfig
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Start, music and ambience of each window; one window but for very long music.

    The level is that of the whole track and the loop runs through, so that two windows
    agree where they overlap.
    """
    music = _levelled(music, "music", mel)
    looped = loop_to_length(_levelled(ambience, "ambience", mel), len(music), mel.sr)
    window, overlap = _window_samples(mel, config)
    for start, stop in window_bounds(len(music), window, overlap):
        yield start, music[start:stop], looped[start:stop]


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


def _mono(y: Waveform, name: str) -> FloatArray:
    array = np.asarray(y, np.float32)
    if array.ndim not in (1, 2) or not array.size:
        raise SignalError(
            f"{name} has shape {array.shape}; (n_samples,) or (n_samples, n_channels) is needed"
        )
    return check_signal(to_mono(array))


def _levelled(y: FloatArray, name: str, mel: MelConfig) -> FloatArray:
    y = check_signal(y)
    if len(y) < mel.n_fft:
        raise SignalError(
            f"{name} has {len(y)} samples, at least {mel.n_fft} are needed; use a longer clip",
            code="too_short",
        )
    if rms(y) < 1e-5:
        raise SignalError(
            f"{name} is silent (RMS {rms(y):.1g}); use an audible clip", code="silent"
        )
    return set_rms(y, LEVEL)
