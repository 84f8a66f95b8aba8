"""Small picture of a pair for the listening page: waveform and mel of each sound, in one WebP.

`nst_core.metrics.picture` draws a large one with axes. This one takes some hundredths of a second
and some ten kilobytes, whatever the length of the sounds: of a long piece it looks at a few frames
per column.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import to_mono
from nst_core.config import MelConfig
from nst_core.spectral.mel import mel_bank
from nst_core.spectral.stft import hann
from nst_core.streaming.arrays import Sliceable

WIDTH, WAVE_HEIGHT, MEL_HEIGHT = 420, 28, 84
"""Pixels of one sound: its waveform stands above its mel."""
LOW_HZ, HIGH_HZ = 60.0, 10_000.0
_MEL = MelConfig(n_fft=2048, hop_length=512, n_mels=MEL_HEIGHT)
_RANGE_DB = 60.0
_MOST_FRAMES = 2
"""Frames per column: more change no pixel that anybody sees."""
_QUALITY = 45

_ANCHORS = (
    (9, 10, 24), (28, 18, 66), (74, 20, 116), (122, 35, 128), (175, 52, 122),
    (224, 78, 102), (249, 130, 96), (254, 190, 132), (252, 250, 190),
)  # fmt: skip
"""Colours from quiet to loud, evenly spaced: dark violet to pale yellow, rising in lightness."""
_COLOURS = np.stack(
    [
        np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(_ANCHORS)), channel)
        for channel in zip(*_ANCHORS, strict=True)
    ],
    axis=1,
).astype(np.uint8)
_BACKGROUND, _WAVE = _COLOURS[0], np.array((196, 192, 222), np.uint8)


def draw_small(path: Path, sounds: Sequence[Sliceable], sr: int) -> None:
    """Write a WebP of the sounds, one above the other, on one time axis and one scale.

    Parameters
    ----------
    sounds : shape (n_samples,) or (n_samples, 2) each, float32
        All are drawn as long as the last: a shorter one is repeated, a longer one is cut. Their
        levels do not matter.
    sr
        Hz, of all sounds.
    """
    n = len(sounds[-1])
    seen = [_look(y, n, sr) for y in sounds]
    highest = max(float(M.max()) for _, M in seen)
    scale = 255 / _RANGE_DB
    panels = []
    for peaks, M in seen:
        M_db = 10 * np.log10(np.maximum(M / highest, 1e-12))
        shades = np.clip((M_db + _RANGE_DB) * scale, 0, 255).astype(np.uint8)
        panels += [_drawn_wave(peaks), _COLOURS[shades.T[::-1]]]
    Image.fromarray(np.concatenate(panels)).save(path, "WEBP", quality=_QUALITY, method=2)


def _look(y: Sliceable, n: int, sr: int) -> tuple[FloatArray, FloatArray]:
    """Return the peak of each column, shape (WIDTH,), and its mel, shape (WIDTH, n_mels).

    The mean power of the mel is 1, so that the sounds can be compared.
    """
    bounds = np.linspace(0, n, WIDTH + 1).astype(int)
    n_frames = int(np.clip((bounds[1] - bounds[0]) // _MEL.hop_length, 1, _MOST_FRAMES))
    half = _MEL.n_fft // 2
    peaks = np.zeros(WIDTH, np.float32)
    frames = np.zeros((WIDTH, n_frames, _MEL.n_fft), np.float32)
    for k, (start, stop) in enumerate(pairwise(bounds)):
        stretch = _stretch(y, int(start) - half, int(stop) + half, n)
        peaks[k] = np.abs(stretch[half : max(len(stretch) - half, half + 1)]).max(initial=0)
        for j in range(n_frames):
            first = (stop - start) * j // n_frames
            frames[k, j] = stretch[first : first + _MEL.n_fft]
    spectrum = fft.rfft(frames * hann(_MEL.n_fft), axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    M = power @ mel_bank(replace(_MEL, sr=sr), low_hz=LOW_HZ, high_hz=HIGH_HZ).T
    return peaks / max(float(peaks.max()), 1e-9), M / max(float(M.mean()), 1e-20)


def _stretch(y: Sliceable, start: int, stop: int, n: int) -> FloatArray:
    """Return some samples in mono; a sound that is shorter than `n` is repeated, the rest is 0."""
    found = np.zeros(stop - start, np.float32)
    low, high = max(start, 0), min(stop, n)
    while low < high:
        at = low % len(y)
        part = to_mono(y[at : min(at + high - low, len(y))])
        found[low - start : low - start + len(part)] = part
        low += len(part)
    return found


def _drawn_wave(peaks: FloatArray) -> npt.NDArray[np.uint8]:
    middle = (WAVE_HEIGHT - 1) / 2
    distance = np.abs(np.arange(WAVE_HEIGHT) - middle)[:, None]
    inside = distance <= np.maximum(peaks * (middle - 1), 0.5)
    return np.where(inside[..., None], _WAVE, _BACKGROUND)
