from pathlib import Path

import numpy as np
import pytest

from nst_core.audio.loudness import loudness_lufs, spread_lufs
from nst_core.audio.preview import write_preview
from nst_core.audio.reading import read_audio
from nst_core.synth.sounds import music_piece
from tests.sounds import noise, tone

SR = 22_050


def test_a_preview_is_the_beginning_at_its_level(tmp_path: Path) -> None:
    y = music_piece("folk", 15.0, seed=1)
    write_preview(tmp_path / "p.mp3", np.stack([y, y], axis=1), SR, at_most_s=10)
    heard = read_audio(tmp_path / "p.mp3")
    assert len(heard.y) / heard.sr == pytest.approx(10, abs=0.1)
    assert loudness_lufs(heard.y, heard.sr) == pytest.approx(
        loudness_lufs(y[: 10 * SR], SR), abs=0.5
    )
    assert (tmp_path / "p.mp3").stat().st_size < 100_000


def test_a_short_or_loud_sound_has_a_preview_too(tmp_path: Path) -> None:
    write_preview(tmp_path / "p.mp3", tone(440, 0.5, level=3.0), SR, at_most_s=10)
    heard = read_audio(tmp_path / "p.mp3")
    assert 0.5 < np.abs(heard.y).max() < 1.1


def test_a_sound_on_two_channels_is_as_loud_as_if_it_were_stereo() -> None:
    y = noise(3.0)
    assert spread_lufs(y, SR, n_channels=1) == pytest.approx(loudness_lufs(y, SR), abs=0.01)
    both = loudness_lufs(np.stack([y, y], axis=1), SR)
    assert spread_lufs(y, SR, n_channels=2) == pytest.approx(both, abs=0.01)
    assert spread_lufs(np.zeros(SR, np.float32), SR, n_channels=2) == -70
