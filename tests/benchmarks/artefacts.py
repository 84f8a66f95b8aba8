"""Faults that a transfer can add, as figures beyond what its two inputs already have.

Each takes the result, the music, and the ambience that played it: mono, float32, of one length and
one sample rate. Each scales them to one level, so levels do not matter. A figure is 0 if the
result has no more of the fault than its inputs. No loss and no gate uses these figures.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
from scipy.ndimage import maximum_filter, median_filter, uniform_filter1d
from scipy.signal import butter, sosfilt

from nst_core.audio.loudness import set_rms
from nst_core.audio.mastering import write_master
from nst_core.config import OutputConfig
from nst_core.spectral.stft import power_spectrogram

_TINY = 1e-12

_BLOCK_S = 0.0025
_BEFORE_S, _GUARD_S, _ATTACK_S = 0.060, 0.010, 0.020
_RISE_DB, _BELOW_LOUDEST_DB = 15.0, 25.0
_APART_S = 0.1
_ATTACKS_ABOVE_HZ = 500
"""Bass notes take longer than 20 ms to build up, so they are no sharp attacks."""
_FLOOR_DB = -45.0

_HISS_HZ, _HISS_TOP_HZ = 6000, 11_000
_PAUSES, _STATIONARY = 0.2, 0.25

_RUMBLE_HZ, _RUMBLE_FLOOR_DB = 25, -60.0

_PUMPING_S, _LEVEL_S, _LEVEL_FLOOR_DB = 0.2, 0.1, -40.0

_RINGING_HZ = (200, 10_000)
_RINGING_WINDOW_S, _RINGING_HOP_S = 0.19, 0.046
_STEADY_FRAMES, _FALL_S, _FALL_DB = 3, 0.5, 15.0
_LINE_HZ, _AROUND_HZ, _LINE_DB = 12, 200, 9.0
_AUDIBLE_DB = 60.0

_TREBLE_HZ = (5_500, 11_000, 16_000)
_NO_TREBLE_DB = -40.0
_TREBLE_FLOOR_DB = -50.0


def pre_echo_db(y: np.ndarray, music: np.ndarray, sr: int) -> float:
    """Return how much louder the time before sharp attacks is than in the music, in dB.

    At each attack of the music, the level from 60 to 10 ms before it is compared with the level of
    the 20 ms after it, in the result and in the music, both above 500 Hz and not below -45 dB. The
    figure is the mean difference. A steady background between the attacks also counts.

    Returns
    -------
    dB from 0; NaN if the music has no sharp attacks. An attack is a rise by 15 dB to a level within
    25 dB of the loudest.

    References
    ----------
    The definition is ours. Pre-echo of transforms: Painter & Spanias, "Perceptual Coding of Digital
    Audio", Proc. IEEE 88 (4), 2000, section IV.
    """
    attacks, of_music = _attacks(music, sr)
    if not len(attacks):
        return float("nan")
    before, _ = _around_attacks(_fine_level(y, sr), attacks)
    return max(0.0, float(np.mean(before - of_music)))


def _fine_level(y: np.ndarray, sr: int) -> np.ndarray:
    """Return the power above 500 Hz in blocks of 2.5 ms."""
    high = sosfilt(butter(4, _ATTACKS_ABOVE_HZ, "high", fs=sr, output="sos"), set_rms(y))
    starts = (np.arange(int(len(y) / (sr * _BLOCK_S))) * sr * _BLOCK_S).astype(int)
    return np.add.reduceat(np.square(high), starts) * (_BLOCK_S**-1 / sr)


def _attacks(music: np.ndarray, sr: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first block of each sharp attack, and the level before it in dB."""
    power = _fine_level(music, sr)
    n_before, n_after = round(_BEFORE_S / _BLOCK_S), round(_ATTACK_S / _BLOCK_S)
    blocks = np.arange(n_before, len(power) - n_after)
    if not len(blocks):
        return blocks, np.empty(0)
    before, after = _around_attacks(power, blocks)
    loud = after > after.max() - _BELOW_LOUDEST_DB
    # The rise of two blocks finds the block in which the attack starts.
    rise = power[blocks] + power[blocks + 1] - power[blocks - 1] - power[blocks - 2]
    candidates = np.flatnonzero(loud & (before < -_RISE_DB))
    found: list[int] = []
    for i in candidates[np.argsort(-rise[candidates])]:
        if all(abs(i - other) * _BLOCK_S >= _APART_S for other in found):
            found.append(int(i))
    found.sort()
    return blocks[found], before[found]


def _around_attacks(power: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the level before attacks relative to the level after them, and the latter, in dB."""
    total = np.concatenate([[0], np.cumsum(power)])
    n_before, n_guard, n_after = (round(s / _BLOCK_S) for s in (_BEFORE_S, _GUARD_S, _ATTACK_S))
    before = (total[blocks - n_guard] - total[blocks - n_before]) / (n_before - n_guard)
    after = _db((total[blocks + n_after] - total[blocks]) / n_after)
    return np.maximum(_db(before) - after, _FLOOR_DB), after


def hiss_db(y: np.ndarray, music: np.ndarray, ambience: np.ndarray, sr: int) -> float:
    """Return the stationary energy from 6 to 11 kHz in the music's pauses, in dB.

    The pauses are the quietest fifth of the music's frames of 46 ms. Stationary is what a quarter
    of these frames stays below. It is compared with the louder of the music in its pauses and the
    ambience at any time.

    Returns
    -------
    dB from 0, beyond the louder input.
    """
    n_fft = _window(sr, 0.046)
    all_bands = power_spectrogram(set_rms(music), n_fft, n_fft // 2).sum(axis=1)
    pauses = all_bands <= np.quantile(all_bands, _PAUSES)
    bins = _bins(sr, n_fft, _HISS_HZ, _HISS_TOP_HZ)

    def stationary(x, frames):
        power = power_spectrogram(set_rms(x), n_fft, n_fft // 2, bins=bins).sum(axis=1)
        return float(_db(np.quantile(power[: len(pauses)][frames], _STATIONARY)))

    louder = max(stationary(music, pauses), stationary(ambience, slice(None)))
    return max(0.0, stationary(y, pauses) - louder)


def rumble_db(y: np.ndarray, music: np.ndarray, ambience: np.ndarray, sr: int) -> float:
    """Return the energy below 25 Hz, relative to all energy, in dB beyond the louder input.

    Returns
    -------
    dB from 0; levels below -60 dB count as -60 dB.
    """

    def low(x):
        power = np.abs(np.fft.rfft(np.asarray(x, float) * np.hanning(len(x)))) ** 2
        edge = int(np.ceil(_RUMBLE_HZ * len(x) / sr))
        return max(_RUMBLE_FLOOR_DB, float(_db(power[:edge].sum()) - _db(power.sum())))

    return max(0.0, low(y) - max(low(music), low(ambience)))


def pumping_db(y: np.ndarray, music: np.ndarray, ambience: np.ndarray, sr: int) -> float:
    """Return how far the level moves within 0.2 s, in dB beyond the more lively input.

    The standard deviation of the differences between levels of 0.1 s that are 0.2 s apart; levels
    more than 40 dB below the loudest count as that.

    Returns
    -------
    dB from 0. Steady sound whose level in dB is a sine of amplitude A at 2.5 Hz moves by
    2 A / sqrt 2, less by a tenth for the mean over 0.1 s.
    """

    def movement(x):
        block = round(0.01 * sr)
        power = np.square(x[: len(x) // block * block], dtype=float).reshape(-1, block).mean(axis=1)
        power = uniform_filter1d(power, round(_LEVEL_S / 0.01))
        level = np.maximum(_db(power), _db(power.max()) + _LEVEL_FLOOR_DB)
        lag = round(_PUMPING_S / 0.01)
        return float(np.std(level[lag:] - level[:-lag]))

    return max(0.0, movement(y) - max(movement(music), movement(ambience)))


def ringing_db(y: np.ndarray, music: np.ndarray, ambience: np.ndarray, sr: int) -> float:
    """Return how far narrow lines stand out where both inputs have fallen, in dB.

    Bands of 12 Hz from 200 Hz to 10 kHz, in windows of 0.19 s. An input has fallen in a band if
    it is 15 dB below its level of the last half second. A line in such a place exceeds the louder
    input by some decibels, and the middle of the 400 Hz around it by 9 dB and some more. The figure
    is the mean of the smaller excess over all moments at which anything has fallen, of the
    strongest line of the moment.

    Returns
    -------
    dB from 0. What is more than 60 dB below the loudest band of the inputs does not count.
    """
    n_fft, hop = _window(sr, _RINGING_WINDOW_S), round(_RINGING_HOP_S * sr)
    bins = _bins(sr, n_fft, *_RINGING_HZ)
    width, around = (round(hz * n_fft / sr) | 1 for hz in (_LINE_HZ, 2 * _AROUND_HZ))

    def steady(x):
        power = power_spectrogram(set_rms(x), n_fft, hop, bins=bins)
        return uniform_filter1d(power, _STEADY_FRAMES, axis=0)

    louder = np.maximum(steady(music), steady(ambience))
    quiet = louder.max() * 10 ** (-_AUDIBLE_DB / 10)
    # Noise has deep gaps between bins and between frames; no band has fallen because of these.
    louder = maximum_filter(louder, (_STEADY_FRAMES, width)) + quiet
    n_past = round(_FALL_S / _RINGING_HOP_S)
    past = maximum_filter(louder, (n_past, 1), origin=((n_past - 1) // 2, 0))
    fallen = louder < past * 10 ** (-_FALL_DB / 10)
    if not fallen.any():
        return 0.0
    power = steady(y) + quiet
    power = power[: len(louder)]
    excess = _db(power / louder)
    outstanding = _db(power / median_filter(power, (1, around))) - _LINE_DB
    line = np.where(fallen, np.clip(np.minimum(excess, outstanding), 0, None), 0)
    return float(line.max(axis=1)[fallen.any(axis=1)].mean())


def treble_db(y: np.ndarray, ambience: np.ndarray, sr: int) -> float:
    """Return the energy from 11 to 16 kHz against the ambience's slope, in dB.

    The slope is the energy there relative to the octave below. Levels below -50 dB count as -50.

    Returns
    -------
    dB: 0 is the ambience's slope, below 0 is duller, above 0 is sharper. NaN if the sample rate
    has no such energy, or if the ambience's recording has none (a slope below -40 dB).
    """
    if sr < 2 * _TREBLE_HZ[-1]:
        return float("nan")

    def slope(x):
        power = power_spectrogram(set_rms(x), _window(sr, 0.046), _window(sr, 0.046) // 2)
        low, middle, high = (round(hz * _window(sr, 0.046) / sr) for hz in _TREBLE_HZ)
        octave, top = (part.sum() for part in (power[:, low:middle], power[:, middle:high]))
        return max(_TREBLE_FLOOR_DB, float(_db(top) - _db(octave)))

    goal = slope(ambience)
    return slope(y) - goal if goal > _NO_TREBLE_DB else float("nan")


def loudness_lu(y: np.ndarray, music: np.ndarray, sr: int) -> float:
    """Return the loudness of the written file relative to the music, in LU.

    The file is what the command writes: mastered to the music's loudness, its peaks limited.

    References
    ----------
    ITU-R BS.1770-4, as pyloudnorm measures it on the file: not the meter that masters.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "y.wav"
        write_master(path, y, sr, OutputConfig(sample_rate=sr), music=music)
        written, _ = soundfile.read(path)
    meter = pyloudnorm.Meter(sr)
    return float(meter.integrated_loudness(written) - meter.integrated_loudness(music))


def faults(y: np.ndarray, music: np.ndarray, ambience: np.ndarray, sr: int) -> dict[str, float]:
    """Return the figures that do not need the full band, by name."""
    inputs = (music, ambience, sr)
    return {
        "pre_echo_db": pre_echo_db(y, music, sr),
        "hiss_db": hiss_db(y, *inputs),
        "rumble_db": rumble_db(y, *inputs),
        "pumping_db": pumping_db(y, *inputs),
        "ringing_db": ringing_db(y, *inputs),
    }


def _window(sr: int, seconds: float) -> int:
    """Return the power of two that is nearest to a duration, in samples."""
    return 2 ** round(np.log2(seconds * sr))


def _bins(sr: int, n_fft: int, low_hz: float, high_hz: float) -> slice:
    return slice(round(low_hz * n_fft / sr), round(min(high_hz, sr / 2) * n_fft / sr))


def _db(power: np.ndarray | float) -> np.ndarray:
    return 10 * np.log10(np.asarray(power, float) + _TINY)
