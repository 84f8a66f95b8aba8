"""The one end-to-end function, and the neural half of it.

`stylise` finds the mel gain that the optimisation asks for at full strength;
`nst_core.rendering` turns it into sound at any strength. `transfer_style` is both.
A batch caches the two apart.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import fft

from nst_core.analysis import Analysis, analyse
from nst_core.audio import Waveform, resample, to_mono
from nst_core.blend import blend, shares
from nst_core.config import AudioLimits, MelConfig, TransferConfig
from nst_core.errors import SignalError
from nst_core.looping import Loop
from nst_core.mel import check_signal, compress, expand, power_mel_of_frames
from nst_core.model import Classifier, load_classifier
from nst_core.optimize import optimise
from nst_core.rendering import (
    GAIN_FLOOR,
    Stylisation,
    carried,
    render,
    texture_weight,
)
from nst_core.segments import join_windows, window_bounds
from nst_core.stft import FloatArray


def transfer_style(
    y_music: Waveform,
    y_ambience: Waveform | Sequence[Waveform],
    *,
    sr: int,
    ambience_weights: Sequence[float] | None = None,
    config: TransferConfig | None = None,
    classifier: Classifier | None = None,
    n_threads: int = 1,
) -> FloatArray:
    """Let the ambience play the music.

    Parameters
    ----------
    y_music, y_ambience : shape (n_samples,) or (n_samples, n_channels), float32
        Full scale 1. The music's two channels are kept, more are mixed down; so is every
        ambience. A short ambience is looped, of a long one the first five minutes are
        heard. Several ambiences, in a list or tuple, sound at once: each at one level and
        times the root of its share (constant power), looped to the longest. Style
        statistics are taken from that blend, so a band's mean power is the weighted mean
        of theirs.
    sr
        Hz, of all and of the result. The work is done at 22,050 Hz.
    ambience_weights
        One number above 0 per ambience, of which only the proportions count; equal ones
        if None.
    config
        Default: the preset ``real``.
    classifier
        Default: the one that comes with the package.
    n_threads
        For transforms and inversion; changes no sample.

    Returns
    -------
    shape (n_samples,) or (n_samples, 2), float32
        As long and as loud (RMS) as the music; peaks may exceed full scale. At strength 0
        the music itself. Equal bit for bit from run to run on one machine.

    Raises
    ------
    SignalError
        If an input is empty, silent (a constant is), or holds NaN, infinity or samples
        beyond a thousand times full scale.
    ConfigError
        If a layer of the configuration is not in the classifier, or the weights do not fit
        the ambiences.
    """
    config = config or TransferConfig()
    music = _checked(y_music, "music")
    ambiences = _named(y_ambience, round(AudioLimits.max_ambience_s * sr))
    weights = shares(ambience_weights, len(ambiences))
    if music.shape[1:] != (2,):
        music = to_mono(music)
    if config.strength == 0:
        return music
    classifier = classifier or load_classifier()
    work_sr = classifier.mel.sr
    analysed = analyse(resample(music, sr, work_sr), classifier.mel, name="music")
    textures = [
        analyse(resample(y, sr, work_sr), classifier.mel, name=name)
        for name, y in ambiences.items()
    ]
    texture = blend(textures, weights, classifier.mel)
    stylisation = stylise(analysed, texture, classifier, config, n_threads=n_threads)
    inputs = analysed.y, texture.y[:]
    rendered = render(*inputs, stylisation, classifier.mel, config, n_threads=n_threads)
    y = resample(rendered[:], work_sr, sr)[: len(music)]
    return np.pad(y, [(0, len(music) - len(y))] + [(0, 0)] * (y.ndim - 1))


def stylise(
    music: Analysis,
    ambience: Analysis,
    classifier: Classifier,
    config: TransferConfig,
    *,
    n_threads: int = 1,
    scratch: Path | None = None,
) -> Stylisation:
    """Optimise the mel, at full strength whatever ``config.strength`` says.

    Parameters
    ----------
    music, ambience
        Analysed with ``classifier.mel``; of any length and level.
    classifier
        Whose layers are listened with.
    config
        Layers, weights, steps, and of which carrier there are samples in the result.
    n_threads
        For transforms; changes no sample.
    scratch
        Folder for what is as long as a long piece; None: all stays in memory.

    Returns
    -------
    Of the music's number of frames, with the carrier at ``config.strength`` if that is above 0
    and the transfer starts from a carrier.

    Raises
    ------
    SignalError, ConfigError
        As `transfer_style`.
    """
    mel = classifier.mel
    n_frames = len(music.mel_frames)
    u_ambience = compress(ambience.M)
    carrier, to_render = None, {}
    texture = Loop.of(ambience.levelled()[:], len(music.y), mel.sr)
    losses: list[tuple[FloatArray, FloatArray, int]] = []

    def gains() -> Iterator[tuple[int, npt.NDArray[np.float16]]]:
        for frames in windows(n_frames, mel, config):
            M_music, M_ambience = music.power_mel(frames), power_mel_of_frames(texture, frames, mel)
            M_carrier = None if carrier is None else power_mel_of_frames(carrier, frames, mel)
            reference, begin = _starting_mels(M_music, M_ambience, M_carrier, config)
            optimised = optimise(
                compress(begin),
                compress(M_music),
                compress(M_ambience),
                u_ambience,
                classifier.taps,
                config,
            )
            gain_db = _gain_db(expand(optimised.u), reference)
            best = optimised.best_iteration
            losses.append((optimised.content_loss, optimised.style_loss, best))
            yield frames.start, gain_db.T.astype(np.float16, order="C")

    with fft.set_workers(n_threads):
        if config.start == "carrier":
            strengths = sorted({1.0, config.strength} - {0.0}, reverse=True)
            weights = tuple(map(texture_weight, strengths))
            levelled = music.levelled()
            carriers = carried(levelled, texture, mel, config, weights, scratch=scratch)
            carrier, to_render = carriers[0], {strengths[-1]: carriers[-1]}
        overlap = _overlap_frames(mel, config)
        gain_db = join_windows(gains(), n_frames, overlap, scratch=scratch)
    return Stylisation(gain_db, *losses[0], to_render)


def windows(n_frames: int, mel: MelConfig, config: TransferConfig) -> list[slice]:
    """Frames that are optimised at a time; all of them, but for very long music."""
    longest = round(config.window_s * mel.sr / mel.hop_length)
    bounds = window_bounds(n_frames, longest, _overlap_frames(mel, config))
    return [slice(first, last) for first, last in bounds]


def _overlap_frames(mel: MelConfig, config: TransferConfig) -> int:
    return round(config.window_overlap_s * mel.sr / mel.hop_length)


def _starting_mels(
    M_music: FloatArray,
    M_ambience: FloatArray,
    M_carrier: FloatArray | None,
    config: TransferConfig,
) -> tuple[FloatArray, FloatArray]:
    """The mel that the gain refers to, and the one the optimisation starts from."""
    if M_carrier is not None:
        return M_carrier, M_carrier
    if config.start == "music":
        return M_music, M_music
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


def _named(y_ambience: Waveform | Sequence[Waveform], n_heard: int) -> dict[str, Waveform]:
    """The mono mix of what is heard of each ambience, by what messages call it."""
    given = y_ambience if isinstance(y_ambience, list | tuple) else [y_ambience]
    if not given:
        raise SignalError("ambience is an empty list; give one ambience at least")
    names = [f"ambience {i}" for i in range(1, len(given) + 1)] if len(given) > 1 else ["ambience"]
    heard = (np.asarray(y)[:n_heard] for y in given)
    return {name: to_mono(_checked(y, name)) for name, y in zip(names, heard, strict=True)}


def _checked(y: Waveform, name: str) -> Waveform:
    array = np.asarray(y, np.float32)
    if array.ndim not in (1, 2) or not array.size:
        raise SignalError(
            f"{name} has shape {array.shape}; (n_samples,) or (n_samples, n_channels) is needed"
        )
    if array.ndim == 2 and array.shape[1] > AudioLimits.max_channels >= array.shape[0]:
        raise SignalError(
            f"{name} has shape {array.shape}, channels first; pass its transpose, "
            "(n_samples, n_channels)"
        )
    check_signal(array.ravel(), name=name)
    peak = float(np.abs(array).max())
    if peak > AudioLimits.max_abs:
        raise SignalError(
            f"{name} has a peak of {peak:g}, more than {AudioLimits.max_abs:g} times full scale; "
            "scale it to a full scale of 1",
            code="non_finite",
        )
    return array
