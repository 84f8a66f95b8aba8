from pathlib import Path

import numpy as np
from PIL import Image

from nst_core.metrics.small_picture import MEL_HEIGHT, WAVE_HEIGHT, WIDTH, draw_small
from nst_core.streaming.arrays import DiskArray
from nst_core.synth.sounds import ambience
from tests.sounds import noise, tone

SR = 22_050
PANEL = WAVE_HEIGHT + MEL_HEIGHT


def drawn(path: Path, *sounds: np.ndarray) -> np.ndarray:
    """Brightness of each sound's panel, shape (n_sounds, PANEL, WIDTH)."""
    draw_small(path, sounds, SR)
    gray = np.asarray(Image.open(path).convert("L"), float)
    return gray.reshape(len(sounds), PANEL, WIDTH)


def mels(panels: np.ndarray) -> np.ndarray:
    return panels[:, WAVE_HEIGHT:]


def test_a_higher_tone_is_drawn_higher(tmp_path: Path) -> None:
    low, high = mels(drawn(tmp_path / "p.webp", tone(300, 3.0), tone(3_000, 3.0)))
    assert high.mean(axis=1).argmax() < low.mean(axis=1).argmax() - 20


def test_time_runs_to_the_right(tmp_path: Path) -> None:
    y = np.concatenate([np.zeros(2 * SR, np.float32), tone(800, 2.0)])
    (panel,) = drawn(tmp_path / "p.webp", y)
    left, right = panel[:, : WIDTH // 2 - 10], panel[:, WIDTH // 2 + 10 :]
    assert right.max(axis=0).min() > left[WAVE_HEIGHT:].max() + 80
    assert right[:WAVE_HEIGHT].mean() > 2 * left[:WAVE_HEIGHT].mean(), "the waveform"


def test_a_shorter_ambience_is_repeated_and_a_longer_one_is_cut(tmp_path: Path) -> None:
    pulse = np.concatenate([noise(0.5), np.zeros(SR // 2, np.float32)])
    first, _ = mels(drawn(tmp_path / "p.webp", pulse, tone(500, 4.0)))
    is_loud = first.mean(axis=0) > first.mean()
    assert np.count_nonzero(np.diff(is_loud.astype(int)) == 1) in {3, 4}
    long, _ = drawn(tmp_path / "q.webp", np.resize(pulse, 9 * SR), tone(500, 4.0))
    assert np.abs(long[WAVE_HEIGHT:] - first).mean() < 2


def test_levels_do_not_matter(tmp_path: Path) -> None:
    loud, quiet = noise(3.0), 0.01 * noise(3.0)
    one, other = drawn(tmp_path / "p.webp", quiet.astype(np.float32), loud)
    assert np.abs(one - other).mean() < 2


def test_a_long_sound_on_disk_makes_the_same_small_picture(tmp_path: Path) -> None:
    y = np.resize(ambience("rain", 8.0, seed=1).astype(np.float32), 120 * SR)
    stereo = np.stack([y, y], axis=1)
    path = tmp_path / "samples"
    path.write_bytes(stereo.tobytes())
    with path.open("rb", buffering=0) as file:
        long = DiskArray(file, 0, stereo.shape, stereo.dtype)
        draw_small(tmp_path / "disk.webp", [y, y, long], SR)
    draw_small(tmp_path / "memory.webp", [y, y, y], SR)
    disk, memory = (tmp_path / f"{name}.webp" for name in ("disk", "memory"))
    assert disk.read_bytes() == memory.read_bytes()
    assert disk.stat().st_size < 30_000


def test_silence_and_very_short_sounds_are_drawn(tmp_path: Path) -> None:
    drawn(tmp_path / "p.webp", np.zeros(SR, np.float32), tone(500, 0.3))
    drawn(tmp_path / "p.webp", tone(500, 0.01), np.zeros(100, np.float32))
