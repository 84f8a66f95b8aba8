"""The one end-to-end function, and the neural half of it.

`stylise` finds the mel gain that the optimisation asks for at full strength;
`nst_core.rendering` turns it into sound at any strength. `transfer_style` is both.
A batch caches the two apart.
"""

import numpy as np
from scipy import fft

from nst_core.audio import Waveform, resample, set_rms, to_mono
from nst_core.carrier import carrier
from nst_core.config import MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.mel import check_signal, compress, expand, n_frames, power_mel
from nst_core.model import Classifier, load_classifier
from nst_core.optimize import Optimised, optimise
from nst_core.rendering import GAIN_FLOOR, LEVEL, Stylisation, levelled, render, windows
from nst_core.stft import FloatArray


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
    u_ambience = compress(power_mel(levelled(ambience, "ambience", mel), mel))
    gains, first = [], None
    with fft.set_workers(n_threads):
        for start, music_part, looped in windows(music, ambience, mel, config):
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
    floor = np.float32(GAIN_FLOOR)
    gain: FloatArray = 10 * np.log10((M + floor) / (reference + floor))
    return gain


def _mono(y: Waveform, name: str) -> FloatArray:
    array = np.asarray(y, np.float32)
    if array.ndim not in (1, 2) or not array.size:
        raise SignalError(
            f"{name} has shape {array.shape}; (n_samples,) or (n_samples, n_channels) is needed"
        )
    return check_signal(to_mono(array))
