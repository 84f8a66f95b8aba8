"""Picture of a pair: the mels of ambience, music and result, one above the other."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import librosa.display
import numpy as np
from matplotlib.figure import Figure

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import set_rms
from nst_core.config import LEVEL, MelConfig
from nst_core.spectral.mel import power_mel

_MEL = MelConfig(n_fft=2048, hop_length=512, n_mels=128)
"""A longer window and fewer bands than for the transfer, so that no band is empty."""
_RANGE_DB = 70.0


def draw_mels(path: Path, sounds: Mapping[str, FloatArray], sr: int) -> None:
    """Write a PNG of power mels at one level, on one colour scale and time axis.

    Parameters
    ----------
    sounds : shape (n_samples,) each, float32
        Sounds by title. All are drawn with the length of the last.
    sr
        Sample rate of all sounds in Hz.
    """
    mel = replace(_MEL, sr=sr)
    n = len(list(sounds.values())[-1])
    levelled = {name: set_rms(np.resize(y, n), LEVEL) for name, y in sounds.items()}
    mels_db = {name: 10 * np.log10(power_mel(y, mel) + 1e-10) for name, y in levelled.items()}
    highest = max(float(each.max()) for each in mels_db.values())
    figure = Figure(figsize=(10, 2.6 * len(sounds)), layout="constrained")
    axes = figure.subplots(len(sounds), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, M_db) in zip(axes, mels_db.items(), strict=True):
        image = librosa.display.specshow(
            M_db, sr=mel.sr, hop_length=mel.hop_length, x_axis="time", y_axis="mel", ax=axis,
            vmin=highest - _RANGE_DB, vmax=highest, cmap="magma", rasterized=True,
        )  # fmt: skip
        axis.set(title=name, xlabel="time in s", ylabel="frequency in Hz")
        axis.label_outer()
    figure.colorbar(image, ax=list(axes), label="dB", format="%+.0f")
    figure.savefig(path, dpi=100)
