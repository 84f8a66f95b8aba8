"""A result as Jupyter shows it: a player, the mels of the three sounds, and the figures."""

import dataclasses
import tempfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from nst_core.arrays import FloatArray
from nst_core.audio.loudness import to_mono
from nst_core.audio.preview import mp3_of
from nst_core.config import OutputConfig
from nst_core.metrics.scores import Metrics
from nst_core.streaming.resampling import resample

SHOWN_S = 60.0
"""A longer sound is played and drawn up to here: everything is stored in the notebook."""
_MEANINGS = {
    "content": "how much of the music remains: 0 is the ambience, 1 the music",
    "chroma": "its harmony, on the same scale",
    "onset_correlation": "its rhythm",
    "spectrum": "its melody",
    "onset_f1": "onsets within 50 ms of the music's, 0 to 1",
    "texture": "how much of the ambience's grain there is: 0 is the music, 1 the ambience",
    "identity": "whether it sounds like the music's instruments (0) or like the ambience (1)",
    "spectrum_moved": "how far the long-term spectrum has moved to the ambience's, 0 to 1",
    "carrier_db": "change of the music's loudest parts: 0 is the music itself, 4 a new carrier",
    "follow": "how closely the new sound follows the music: below 0.25, it is only mixed in",
    "high_share": "share of energy above 6 kHz, 0 to 1",
}


def as_html(
    sounds: Mapping[str, FloatArray], sr: int, metrics: Metrics | None, warnings: Sequence[str]
) -> str:
    """Return a result as HTML that fetches nothing.

    Parameters
    ----------
    sounds : shape (n_samples,) or (n_samples, 2) each, float32
        By title; the last is the result.
    sr
        Hz, of all sounds.
    metrics
        None if the result is too short to be measured.
    warnings
        Warnings about the inputs.
    """
    y = list(sounds.values())[-1]
    heard = y[: round(SHOWN_S * sr)]
    cut = f"; the first {SHOWN_S:g} s are played and drawn" if len(heard) < len(y) else ""
    told = f"{len(y) / sr:.1f} s, {sr} Hz, {'stereo' if y.ndim == 2 else 'mono'}{cut}"
    shown = escape("mels of " + ", ".join(sounds))
    picture = _mels_uri(sounds, sr, len(heard))
    parts = [
        f"<p>{escape(told)}</p>",
        f'<audio controls src="{_player_uri(heard, sr)}"></audio>',
        f'<div><img style="max-width: 100%" alt="{shown}" src="{picture}"></div>',
        _table(metrics) if metrics else "<p>too short to be measured</p>",
        *(f"<p>{escape(each)}</p>" for each in warnings),
    ]
    return f"<div>{''.join(parts)}</div>"


def _player_uri(y: FloatArray, sr: int) -> str:
    file_sr = OutputConfig(format="mp3").file_sr(sr)
    return _data_uri("audio/mpeg", mp3_of(resample(y, sr, file_sr), file_sr))


def _mels_uri(sounds: Mapping[str, FloatArray], sr: int, n: int) -> str:
    from nst_core.metrics.picture import draw_mels  # noqa: PLC0415  # matplotlib takes a second

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mels.webp"
        draw_mels(path, {name: to_mono(y[:n]) for name, y in sounds.items()}, sr)
        return _data_uri("image/webp", path.read_bytes())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def _table(metrics: Metrics) -> str:
    rows = (
        f"<tr><th>{escape(name)}</th><td>{value:.2f}{' dB' if name.endswith('_db') else ''}</td>"
        f'<td style="text-align: left">{escape(_MEANINGS[name])}</td></tr>'
        for name, value in dataclasses.asdict(metrics).items()
    )
    head = '<tr><th>figure</th><th>value</th><th style="text-align: left">meaning</th></tr>'
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
