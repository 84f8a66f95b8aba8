"""Neural half of the transfer: from two analyses to a mel gain.

`stylise` optimises the mel gain at full strength; `nst_core.transfer.rendering` turns it into
sound at any strength. `transfer_arrays` does both. A batch caches the two separately.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import set_rms
from nst_core.classifier.saving import Classifier
from nst_core.config import DEFAULT_STRENGTH, LEVEL, MelConfig, Strength, TransferConfig
from nst_core.config.rates import work_rate
from nst_core.runtime.threads import thread_budget
from nst_core.spectral.mel import compress, expand, power_mel_of_frames
from nst_core.streaming.arrays import Sliceable, of_length
from nst_core.streaming.resampling import at_rate
from nst_core.streaming.windows import join_windows, window_bounds
from nst_core.transfer.analysis import Analysis
from nst_core.transfer.carrying import Pair
from nst_core.transfer.descent import optimise
from nst_core.transfer.looping import Loop
from nst_core.transfer.stylisation import GAIN_FLOOR, Stylisation


def stylise(
    music: Analysis,
    ambience: Analysis,
    classifier: Classifier,
    config: TransferConfig,
    *,
    strength: Strength = DEFAULT_STRENGTH,
    n_threads: int = 1,
    scratch: Path | None = None,
) -> Stylisation:
    """Optimise the mel, at full strength.

    Parameters
    ----------
    music, ambience
        Analysed with ``classifier.mel``; of any length, level and rate.
    classifier
        Classifier whose layers define content and style.
    config
        Layers, weights and steps.
    strength
        Strength of the later rendering: its carrier is computed together with that of full
        strength, with little extra work.
    n_threads
        Threads for transforms; does not change any sample.
    scratch
        Folder for arrays of a long piece; if None, everything stays in memory.

    Returns
    -------
    Stylisation with the music's number of mel frames, and with the carrier at `strength` if that
    is above 0 and the transfer starts from a carrier.

    Raises
    ------
    SignalError, ConfigError
        As `transfer_arrays`.
    """
    mel = classifier.mel
    n_frames = len(music.mel_frames)
    u_ambience = compress(ambience.M)
    reference, to_render = None, dict[Strength, Sliceable]()
    losses: list[tuple[FloatArray, FloatArray, int]] = []
    with thread_budget(n_threads):
        if config.start == "carrier":
            full, to_render = _carriers(music, ambience, config, strength, scratch)
            at_mel = at_rate(full, work_rate(music.sr), mel.sr, scratch=scratch)
            # Two conversions of the rate may round the length to another than the mel's.
            reference = set_rms(of_length(at_mel, n_frames * mel.hop_length - 1), LEVEL)
        at_mel = ambience.recording.mono_at(mel.sr, scratch=scratch)[:]
        texture = Loop.of(at_mel, n_frames * mel.hop_length, mel.sr)

        def gains() -> Iterator[tuple[int, npt.NDArray[np.float16]]]:
            for frames in windows(n_frames, mel, config):
                M_music = music.power_mel(frames)
                M_ambience = power_mel_of_frames(texture, frames, mel)
                M_carrier = (
                    None if reference is None else power_mel_of_frames(reference, frames, mel)
                )
                denominator, begin = _starting_mels(M_music, M_ambience, M_carrier, config)
                optimised = optimise(
                    compress(begin),
                    compress(M_music),
                    compress(M_ambience),
                    u_ambience,
                    classifier.taps,
                    config,
                )
                gain_db = _gain_db(expand(optimised.u), denominator)
                best = optimised.best_iteration
                losses.append((optimised.content_loss, optimised.style_loss, best))
                yield frames.start, gain_db.T.astype(np.float16, order="C")

        overlap = _overlap_frames(mel, config)
        gain_db = join_windows(gains(), n_frames, overlap, scratch=scratch)
    return Stylisation(gain_db, *losses[0], to_render)


def _carriers(
    music: Analysis,
    ambience: Analysis,
    config: TransferConfig,
    strength: Strength,
    scratch: Path | None,
) -> tuple[Sliceable, dict[Strength, Sliceable]]:
    """Return the carrier of full strength, and that of the strength to render."""
    strengths = list(dict.fromkeys([1.0, *([strength] if strength != 0 else [])]))
    pair = Pair.of(music.recording, ambience.recording, scratch)
    carriers = pair.carriers(config, strengths, scratch=scratch)
    return carriers[0], {strengths[-1]: carriers[-1]}


def windows(n_frames: int, mel: MelConfig, config: TransferConfig) -> list[slice]:
    """Return the frames that are optimised at a time: all, unless the music is very long."""
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
    """Return the mel that the gain refers to, and the mel that the optimisation starts from."""
    if M_carrier is not None:
        return M_carrier, M_carrier
    if config.start == "music":
        return M_music, M_music
    if config.start == "ambience":
        return M_music, M_ambience
    if config.start == "mix":
        return M_music, 0.5 * (M_music + M_ambience)
    # The power of Gaussian noise is exponentially distributed in every bin.
    noise = np.random.default_rng(config.seed).exponential(size=M_music.shape)
    return M_music, (noise * M_music.mean(axis=1, keepdims=True)).astype(np.float32)


def _gain_db(M: FloatArray, reference: FloatArray) -> FloatArray:
    floor = np.float32(GAIN_FLOOR)
    gain: FloatArray = 10 * np.log10((M + floor) / (reference + floor))
    return gain
